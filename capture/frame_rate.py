"""How many frames a second a camera really gives: cameras that expose for longer in dim light say nothing of it."""

from collections import deque
from itertools import pairwise
from statistics import median

from capture.frames import Frame
from capture.views import View
from hand.findings import Finding

_WINDOW_NS = 3_000_000_000
"""Time over which the rate is measured."""
_TOO_SLOW, _AS_ASKED = 0.8, 0.9
"""Shares of the requested rate: below the first a camera is slow, from the second on it no longer is."""


class FrameRate:
    """The rate of one camera, from its frames' capture times and numbers: frames that were dropped on the way do not matter."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, int]] = deque()

    def add(self, frame: Frame) -> None:
        """Take the next frame that was used."""
        if self._frames and (frame.seq <= self._frames[-1][0] or frame.captured_ns <= self._frames[-1][1]):
            # The camera was opened again.
            self._frames.clear()
        self._frames.append((frame.seq, frame.captured_ns))
        while frame.captured_ns - self._frames[0][1] > _WINDOW_NS:
            self._frames.popleft()

    @property
    def per_s(self) -> float | None:
        """Median over the last seconds; None before there are any."""
        if len(self._frames) < 2 or self._frames[-1][1] - self._frames[0][1] < 0.9 * _WINDOW_NS:
            return None
        periods_ns = [(later_ns - ns) / (later - seq) for (seq, ns), (later, later_ns) in pairwise(self._frames)]
        return 1e9 / median(periods_ns)


class SlowCamera:
    """Whether a camera gives fewer frames than it was asked for."""

    KIND = "slow_camera"

    def __init__(self, view: View, asked_per_s: float) -> None:
        self._view, self._asked = view, asked_per_s
        self._rate = FrameRate()
        self._slow = False

    def add(self, frame: Frame) -> None:
        """Take the next frame that was used."""
        self._rate.add(frame)
        rate = self._rate.per_s
        if rate is not None:
            self._slow = rate < (_AS_ASKED if self._slow else _TOO_SLOW) * self._asked

    @property
    def finding(self) -> Finding | None:
        """None while the camera is fast enough, or nobody knows."""
        rate = self._rate.per_s
        if not self._slow or rate is None:
            return None
        text = (
            f"the {self._view} camera gives {rate:.0f} frames a second and was asked for {self._asked:g}: in dim light a camera "
            "exposes for longer; add light, set --exposure, or ask for less with --camera-size"
        )
        return Finding(self.KIND, text, view=self._view)
