"""Judging networks, calibration, the locator and adaptation."""
