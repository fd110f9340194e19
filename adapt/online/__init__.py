"""Adaptation while the stream runs: the adapter, its process, validation, promotion of better weights."""
