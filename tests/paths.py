"""Where the checkout is, and where the yardsticks are that some tests read and no other machine has."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
