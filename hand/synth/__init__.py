"""Synthetic images of hands and people with their ground truth: rendering, appearance, scenes."""
