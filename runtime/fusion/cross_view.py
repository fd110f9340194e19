"""Whether both views follow the same hand: what only one of them calls a hand is let go."""

import numpy as np

from capture.views import PerView, View
from runtime.types import ViewHand

FAR_APART = 0.65
"""Mean distance of the two views' joints, in unit hands, from which they cannot be one hand: views of one hand that see it
poorly are about 0.4 apart, a hand and an elbow about 1."""
PATIENCE = 6
"""Pairs in a row that it takes to let a view go; a view may err for a moment."""


class CrossViewConsistency:
    """Watches pairs of hands; without sockets or clocks."""

    def __init__(self) -> None:
        self._apart = 0

    def inconsistent_view(self, hands: PerView[ViewHand | None], R_right_from_left: np.ndarray | None) -> View | None:
        """The view that has followed something else for too long, of two that disagree the less sure one; None if none has.

        `R_right_from_left` (3, 3): None while it is unknown or unsure, when nothing can be said.
        """
        left, right = hands.left, hands.right
        if left is None or right is None or R_right_from_left is None:
            self._apart = 0
            return None
        distance = np.linalg.norm(left.joints @ R_right_from_left.T - right.joints, axis=-1).mean()
        self._apart = self._apart + 1 if distance > FAR_APART else 0
        if self._apart < PATIENCE:
            return None
        self._apart = 0
        return "left" if left.confidence.mean() < right.confidence.mean() else "right"
