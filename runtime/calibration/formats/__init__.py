"""Files in which people keep the calibration of two cameras, a module for each program that writes them."""
