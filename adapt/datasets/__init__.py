"""Adaptation to data sets in AssemblyHands' layout, with the published options and scores."""
