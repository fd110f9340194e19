"""Adaptation from a recording."""
