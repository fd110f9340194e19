"""Settings files: one for each way of running."""
