"""Cameras that are found in a whole recording before it is used, and a run that only knows them."""
