"""Cameras that calibrate themselves on hands, and calibrations that users bring."""
