"""MCAP recordings: written, read, replayed, copied."""
