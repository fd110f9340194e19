"""Self-calibration of two cameras on the hands that they see, and calibration files that users give."""
