"""Whether the hand is too small in a view's picture to see its joints."""

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.findings import Finding
from runtime.watch.recent import RecentShare
from runtime.watch.watched import WatchedPair

MIN_HAND_PX = 32.0
"""Longer side of the joints' bounding box below which joint errors grow: of synthetic hands in noisy, compressed pictures by a
sixth at 30 px and by two thirds at 22 px, against 90 px."""
WINDOW_NS, MIN_NS, MIN_SHARE = 5_000_000_000, 2_000_000_000, 0.8


class HandSize:
    """A `Watcher`."""

    def __init__(self) -> None:
        self._small = PerView(RecentShare(WINDOW_NS), RecentShare(WINDOW_NS))
        self._size_px = PerView(0.0, 0.0)
        """Smoothed over about a second."""

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""

        def size(view: View) -> float:
            hand, before = watched.hands[view], self._size_px[view]
            if hand is None or not np.isfinite(hand.pixels).all():
                return before
            size_px = float(np.ptp(hand.pixels, axis=0).max())
            self._small[view].add(watched.captured_ns, size_px < MIN_HAND_PX)
            return before + (size_px - before) * (0.05 if before else 1.0)

        self._size_px = PerView.of(size)

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [self._finding(view) for view in VIEWS if self._is_small(view)]

    def _is_small(self, view: View) -> bool:
        small = self._small[view]
        return small.span_ns >= MIN_NS and small.share >= MIN_SHARE

    def _finding(self, view: View) -> Finding:
        text = (
            f"the hand is only {self._size_px[view]:.0f} px long in the {view} view, and below {MIN_HAND_PX:.0f} px joints "
            "become wrong; bring the hand nearer, ask the camera for larger pictures (--camera-size), or take a longer lens"
        )
        return Finding("hand_too_small", text, view=view)
