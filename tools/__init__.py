"""Commands: `python -m tools.NAME`."""
