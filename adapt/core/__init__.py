"""The method: mean teacher, losses, pseudo-labels, targets, training samples."""
