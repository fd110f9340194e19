"""Adaptation to many camera pairs or recordings."""
