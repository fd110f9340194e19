"""Self-adaptation: a network learns from a camera pair's unlabelled frames (S2DHand, CVPR 2024)."""
