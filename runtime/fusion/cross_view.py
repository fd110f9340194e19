"""Whether both views follow the same hand: a view that follows something else for too long is named, to be lost."""

import numpy as np

from capture.views import PerView, View
from runtime.types import ViewHand

MAX_DISTANCE = 0.65
"""Mean distance of the two views' joints, in unit hands, from which they cannot be one hand: poor predictions of one
hand are about 0.4 apart, a hand and an elbow about 1."""
MIN_INCONSISTENT_PAIRS = 6
"""Inconsistent pairs in a row before a view is named; a view may err for a moment."""


class CrossViewConsistency:
    """Compares both views' hands, pair after pair."""

    def __init__(self) -> None:
        self._inconsistent_pairs = 0

    def inconsistent_view(self, hands: PerView[ViewHand | None], R_right_from_left: np.ndarray | None) -> View | None:
        """The view with the lower confidence, once the views have disagreed for `MIN_INCONSISTENT_PAIRS` pairs; else None.

        `R_right_from_left` (3, 3): None while it is unknown or too uncertain; then nothing is decided.
        """
        left, right = hands.left, hands.right
        if left is None or right is None or R_right_from_left is None:
            self._inconsistent_pairs = 0
            return None
        distance = np.linalg.norm(left.joints @ R_right_from_left.T - right.joints, axis=-1).mean()
        self._inconsistent_pairs = self._inconsistent_pairs + 1 if distance > MAX_DISTANCE else 0
        if self._inconsistent_pairs < MIN_INCONSISTENT_PAIRS:
            return None
        self._inconsistent_pairs = 0
        return "left" if left.confidence.mean() < right.confidence.mean() else "right"
