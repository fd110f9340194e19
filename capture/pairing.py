"""Which frame of the left view is paired with which of the right: the nearest in capture time, without added latency."""

from collections import Counter, deque
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View

DropReason = Literal["no_partner", "out_of_tolerance", "late", "superseded"]
"""Why a frame was not paired.

no_partner: the other view had no frame near it before it ended, or before the memory bound was reached.
out_of_tolerance: the nearest frame left in the other view is too far in time.
late: it arrived after a frame of its own view that was captured later (or at the same time).
superseded: the next frame of its own view is nearer to the partner.
"""

CAPACITY = 16
"""Frames of a view that wait for a partner."""
_WINDOW = 31
"""Intervals from which the period is estimated."""
RESTART_NS = 1_000_000_000
"""A frame older than its stream's last by more than this is not late: its clock was set back, or its sender restarted."""


@dataclass(slots=True)
class _Waiting:
    frame: Frame
    half_period_ns: float | None
    """Half of its stream's period when it came; None for a stream's first frame until the second shows it."""


@dataclass(slots=True)
class _Stream:
    waiting: deque[_Waiting] = field(default_factory=deque)
    intervals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    last_ns: int | None = None
    last_seq: int = 0
    ended: bool = False


class Pairer:
    """Pairs two streams; every frame is used once or dropped with a reason, and order is kept.

    A pair is final as soon as no later frame can be closer. Where a stream's next frame has not arrived, its distance is assumed
    to be at least the smallest recent interval, so that cameras of one rate are paired at once. `patient` waits for that next
    frame instead; then pairs do not depend on the order in which views arrive.

    A stream whose clock is set back by more than RESTART_NS starts again; by less, its frames are late until it has caught up.

    `tolerance_ns` is the largest skew of a pair; None takes half a period of the faster stream, as estimated so far.
    """

    def __init__(self, tolerance_ns: int | None = None, *, patient: bool = False, capacity: int = CAPACITY) -> None:
        # A stream's first frame waits for the second, so two is the least that always moves on.
        assert capacity >= 2
        self.drops: Counter[DropReason] = Counter()
        self._tolerance_ns = tolerance_ns
        self._patient = patient
        self._capacity = capacity
        self._streams = PerView.of(lambda view: _Stream())

    def push(self, frame: Frame) -> list[FramePair]:
        """Process a frame; the pairs that are settled by it."""
        if not self._admit(frame):
            return []
        stream = self._streams[frame.view]
        # The tolerance of a frame depends on its own stream's past only, never on which view's message came first.
        half_period_ns = median(stream.intervals_ns) / 2 if stream.intervals_ns else None
        for waiting in stream.waiting:
            if waiting.half_period_ns is None:
                waiting.half_period_ns = half_period_ns
        stream.waiting.append(_Waiting(frame, half_period_ns))

        pairs = self._settle()
        if len(stream.waiting) > self._capacity:
            self._drop(frame.view, "no_partner")
        return pairs

    def is_late(self, frame: Frame) -> bool:
        """Whether a frame is not captured after its stream's last one, and does not restart the stream either."""
        last_ns = self._streams[frame.view].last_ns
        return last_ns is not None and -RESTART_NS <= frame.captured_ns - last_ns <= 0

    def pass_unpaired(self, frame: Frame) -> bool:
        """Note a frame that is used without a partner, since the other view is absent; False if it is late, which is counted."""
        return self._admit(frame)

    def give_up(self, view: View) -> None:
        """Drop the waiting frames of a view: their partners will not come."""
        while self._streams[view].waiting:
            self._drop(view, "no_partner")

    def finish(self, view: View) -> list[FramePair]:
        """End a view's stream; the pairs that are settled by that."""
        self._streams[view].ended = True
        return self._settle()

    def full(self, view: View) -> bool:
        """Whether the next frame of `view` could push out one that still waits for its partner."""
        return len(self._streams[view].waiting) >= self._capacity

    @property
    def exhausted(self) -> bool:
        """Whether no further pair can come: a view has ended and none of its frames waits."""
        return any(stream.ended and not stream.waiting for stream in self._streams)

    def _admit(self, frame: Frame) -> bool:
        """Whether a frame follows its stream's last one, or restarts the stream."""
        stream = self._streams[frame.view]
        assert not stream.ended, f"a frame of view {frame.view!r} after its end"
        if stream.last_ns is not None:
            step_ns = frame.captured_ns - stream.last_ns
            if self.is_late(frame):
                self.drops["late"] += 1
                return False
            if step_ns < 0:
                self.give_up(frame.view)
                stream.intervals_ns.clear()
            else:
                # Lost frames, which the sequence numbers show, must not lengthen the camera's estimated period.
                stream.intervals_ns.append(step_ns // max(1, frame.seq - stream.last_seq))
        stream.last_ns, stream.last_seq = frame.captured_ns, frame.seq
        return True

    def _settle(self) -> list[FramePair]:
        pairs = []
        while self._streams.left.waiting and self._streams.right.waiting:
            left, right = (stream.waiting[0] for stream in self._streams)
            # Frames before the two heads are gone, so each head is the nearest that remains to the earlier one.
            early: View = "left" if left.frame.captured_ns <= right.frame.captured_ns else "right"
            skew_ns = abs(right.frame.captured_ns - left.frame.captured_ns)
            tolerance_ns = self._tolerance_of(left, right)
            if tolerance_ns is None:
                break
            if skew_ns > tolerance_ns:
                self._drop(early, "out_of_tolerance")
                continue
            nearer = self._next_is_nearer(early, skew_ns)
            if nearer is None:
                break
            if nearer:
                self._drop(early, "superseded")
                continue
            pairs.append(FramePair(left.frame, right.frame))
            for stream in self._streams:
                stream.waiting.popleft()

        if self.exhausted:
            for view in VIEWS:
                self.give_up(view)
        return pairs

    def _tolerance_of(self, left: _Waiting, right: _Waiting) -> float | None:
        """Largest skew of these two; None while a stream has not shown its period."""
        if self._tolerance_ns is not None:
            return self._tolerance_ns
        if any(w.half_period_ns is None and not self._streams[w.frame.view].ended for w in (left, right)):
            return None
        # Two streams of a single frame have no period at all: only the same instant will do.
        return min((w.half_period_ns for w in (left, right) if w.half_period_ns is not None), default=0)

    def _next_is_nearer(self, early: View, skew_ns: int) -> bool | None:
        """Whether the early head's successor is nearer to the other head; None while that is not known."""
        stream = self._streams[early]
        if len(stream.waiting) > 1:
            step_ns = stream.waiting[1].frame.captured_ns - stream.waiting[0].frame.captured_ns
            return abs(step_ns - skew_ns) < skew_ns
        if skew_ns == 0 or stream.ended:
            return False
        if not self._patient and stream.intervals_ns and min(stream.intervals_ns) >= 2 * skew_ns:
            return False
        return None

    def _drop(self, view: View, reason: DropReason) -> None:
        self._streams[view].waiting.popleft()
        self.drops[reason] += 1
