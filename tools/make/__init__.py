"""Makers of the assets that ship and of synthetic data sets."""
