"""Adaptation while the stream runs: the adapter, its process, validation, the promotion gate, adapted weights."""
