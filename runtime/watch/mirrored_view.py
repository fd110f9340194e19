"""Whether one view's picture is mirrored, as a selfie camera's is: then one view shows a right hand and the other a left one.

Rays alone cannot tell: the mirrored pixels of a right camera obey the epipolar constraint of another, real camera. Nor can
anything tell where both pictures are mirrored: all is right then but the handedness.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.findings import Finding
from runtime.calibration.status import CalibrationPhase, RejectionReason
from runtime.types import Side
from runtime.watch.watched import WatchedPair

MAX_VOTES = 120
"""Newest votes of a view that count."""
MIN_VOTES, MIN_SPAN_NS = 14, 2_000_000_000
"""Votes of each view, and time between the oldest and the newest, from which they count."""
CLEAR_MARGIN, CLEAR_DEVIATIONS = 0.1, 4.0
"""Mean margin of both views, in standard deviations too, from which opposite votes are enough."""
WEAK_MARGIN, WEAK_DEVIATIONS, WEAK_DIFFERENCE = 0.02, 1.3, 0.15
"""Of the weaker view, and of both together, where solutions were also rejected as those of mirrored pictures are: a network that
was told the wrong side finds the joints so badly that it hardly knows which side would be better."""
REJECTED_NS = 1_000_000_000
"""For how long they were."""
MISFITS = (RejectionReason.SHAPE_MISMATCH, RejectionReason.VIEWS_DISAGREE)


@dataclass(frozen=True, slots=True)
class _Votes:
    """What one view says of the handedness."""

    mean: float
    """Confidence as a right hand minus that as a left hand."""
    deviations: float
    """That mean over its standard deviation, without sign."""

    @property
    def side(self) -> Side:
        return "right" if self.mean > 0 else "left"


class MirroredView:
    """A `Watcher`."""

    def __init__(self) -> None:
        self._votes: PerView[deque[tuple[int, float]]] = PerView(deque(maxlen=MAX_VOTES), deque(maxlen=MAX_VOTES))
        """Time and margin."""
        self._rejected_ns = 0
        """For how long the calibration's last solution did not fit one hand; begins anew with one that does."""
        self._last_ns: int | None = None

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        for view, hand in watched.hands.items():
            if hand is not None and hand.right_margin is not None:
                self._votes[view].append((watched.captured_ns, hand.right_margin))
        status = watched.calibration
        if status is not None and status.rejection in MISFITS and self._last_ns is not None:
            self._rejected_ns += watched.captured_ns - self._last_ns
        elif status is not None and status.phase is CalibrationPhase.CALIBRATED:
            self._rejected_ns = 0
        self._last_ns = watched.captured_ns

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        votes = self._votes.map(_summary)
        if votes.left is None or votes.right is None or votes.left.side == votes.right.side:
            return []
        weaker, stronger = sorted((votes.left, votes.right), key=lambda view: abs(view.mean))
        clear = abs(weaker.mean) >= CLEAR_MARGIN and min(weaker.deviations, stronger.deviations) >= CLEAR_DEVIATIONS
        weak = (
            abs(weaker.mean) >= WEAK_MARGIN
            and weaker.deviations >= WEAK_DEVIATIONS
            and abs(stronger.mean - weaker.mean) >= WEAK_DIFFERENCE
        )
        if not clear and not (weak and self._rejected_ns >= REJECTED_NS):
            return []
        text = (
            f"the left view shows a {votes.left.side} hand and the right view a {votes.right.side} one: one of the two "
            "pictures is mirrored, as selfie views are, or the views follow two different hands, and then joints and cameras "
            "are wrong; switch mirroring off in that camera's settings or program, and show one hand only"
        )
        return [Finding("view_mirrored", text, "error")]


def _summary(votes: deque[tuple[int, float]]) -> _Votes | None:
    if len(votes) < MIN_VOTES or votes[-1][0] - votes[0][0] < MIN_SPAN_NS:
        return None
    margins = np.array([margin for _, margin in votes])
    mean, error = float(margins.mean()), float(margins.std() / np.sqrt(len(margins)))
    return _Votes(mean, abs(mean) / max(error, 1e-6))
