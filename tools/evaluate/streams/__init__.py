"""Two-view streams of frames through real estimators: rendered rigs and recorded clips, their landmarks stored once."""
