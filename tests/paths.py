"""Paths of the checkout and of the optional reference data that some tests need."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
