"""Can a view's numbers and capture times be what they claim: counted up, and this host's monotonic clock in nanoseconds?"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

WINDOW_NS = 2_000_000_000
"""What is said of a view is true for this long at least."""
MIN_FRAMES = 8
"""Fewer say nothing."""
AHEAD_NS = 100_000_000
"""No frame can be captured after it has arrived; clocks of one host differ by less than this."""
BEHIND_NS = 5_000_000_000
"""No link takes longer from capture to arrival."""
WALL_NS = 86_400_000_000_000
"""A clock that is this near to the wall clock is one, with a date or a time zone that may be wrong."""
_BACKWARDS_SHARE = 0.1
_REPEATED_SHARE = 0.3
"""Share of frames that do not have a new number; a sender that starts again repeats only once."""
_JUMP = 50
"""Frames that a number may be from the one before."""
_JUMPS_SHARE = 0.2
"""Steps of a clock that is set; more are its way of counting."""
_SLOW = 1 / 20
"""A slower (or, inverted, faster) advance is no clock's that counts nanoseconds, whatever plays frames slowly or quickly."""
_TICKS: dict[str, float] = {
    "seconds": 1e-9,
    "milliseconds": 1e-6,
    "ticks of a 90 kHz clock (RTP)": 9e-5,
    "microseconds": 1e-3,
    "ticks of 100 ns": 1e-2,
    "picoseconds": 1e3,
}
"""How far such times advance in a nanosecond."""

FaultKind = Literal[
    "constant",
    "counter",
    "unit",
    "backwards",
    "wall_clock",
    "ahead",
    "behind",
    "number_constant",
    "number_repeats",
    "number_jumps",
]
"""constant, counter, unit: times that do not advance, that count frames, that are not in nanoseconds.
backwards: many are not after the one before.
wall_clock, ahead, behind: they advance as they should, but are another clock's.
number_*: the frame's numbers (`seq`) are all equal, come again and again, or are no count.
"""
UNUSABLE: frozenset[FaultKind] = frozenset(("constant", "counter", "unit"))
"""Hands of such times are wrong, where there are any."""
ANOTHER_CLOCK: frozenset[FaultKind] = frozenset(("wall_clock", "ahead", "behind"))


@dataclass(frozen=True, slots=True)
class StampFault:
    """What is wrong with the latest frames of a view."""

    kind: FaultKind
    frames: int
    """Of so many of them."""
    count: int
    """Frames that were looked at."""
    value: int
    """An example: the latest time, ns, or number."""
    offset_ns: int = 0
    """Time − arrival, median."""
    unit: str | None = None
    """What the times seem to be in; None where no unit fits."""
    ratio: float = 1.0
    """How far the times advance while the frames arrive, 1 where they are right."""


class _Stamp(NamedTuple):
    seq: int
    captured_ns: int
    received_ns: int


class StampCheck:
    """The numbers and times of one view's latest frames."""

    def __init__(self, wall_minus_monotonic_ns: int = 0) -> None:
        self._wall_ns = wall_minus_monotonic_ns
        self._frames: deque[_Stamp] = deque()

    def add(self, seq: int, captured_ns: int, received_ns: int) -> None:
        """Note a frame; its time is that of this host's clock already where its sender's clock answers probes."""
        self._frames.append(_Stamp(seq, captured_ns, received_ns))
        while len(self._frames) > MIN_FRAMES and received_ns - self._frames[1].received_ns >= WINDOW_NS:
            self._frames.popleft()

    @property
    def last_ns(self) -> int | None:
        """Arrival of the latest frame."""
        return self._frames[-1].received_ns if self._frames else None

    @property
    def offset_ns(self) -> int:
        """Time − arrival of the latest frames, median; there must be one."""
        return round(median(frame.captured_ns - frame.received_ns for frame in self._frames))

    @property
    def per_s(self) -> float | None:
        """Frames that its camera gives a second, by their numbers and times: those lost on the way count; None where too few have
        come, or their numbers or times cannot be right.
        """
        fault = self.time_fault()
        if not self._enough or self.number_fault() or (fault is not None and fault.kind not in ANOTHER_CLOCK):
            return None
        first, last = self._frames[0], self._frames[-1]
        passed_ns = last.captured_ns - first.captured_ns
        return (last.seq - first.seq) * 1e9 / passed_ns if passed_ns > 0 and last.seq > first.seq else None

    def number_fault(self) -> StampFault | None:
        """What is wrong with the numbers; None where nothing is, or too few have come."""
        if not self._enough:
            return None
        steps = [later.seq - earlier.seq for earlier, later in pairwise(self._frames)]
        repeated, last = sum(step <= 0 for step in steps), self._frames[-1].seq
        if not any(steps):
            return StampFault("number_constant", len(self._frames), len(self._frames), last)
        if repeated >= _REPEATED_SHARE * len(steps):
            return StampFault("number_repeats", repeated, len(self._frames), last)
        if median(steps) >= _JUMP:
            return StampFault("number_jumps", len(steps), len(self._frames), last, ratio=median(steps))
        return None

    def time_fault(self) -> StampFault | None:
        """What is wrong with the times; None where nothing is, or too few have come."""
        if not self._enough:
            return None
        count, last, offset_ns = len(self._frames), self._frames[-1].captured_ns, self.offset_ns
        pairs = list(pairwise(self._frames))
        steps = [later.captured_ns - earlier.captured_ns for earlier, later in pairs]
        if not any(steps):
            return StampFault("constant", count, count, last, offset_ns)
        if all(0 < step <= MIN_FRAMES for step in steps):
            return StampFault("counter", count, count, last, offset_ns)
        ratio = self._ratio(steps)
        if 0 <= ratio <= _SLOW or ratio >= 1 / _SLOW:
            unit = next((name for name, tick in _TICKS.items() if 0.4 < ratio / tick < 2.5), None)
            return StampFault("unit", count, count, last, offset_ns, unit, _TICKS[unit] if unit else ratio)
        backwards = sum(step <= 0 for step in steps)
        if backwards >= _BACKWARDS_SHARE * len(steps):
            return StampFault("backwards", backwards, count, last, offset_ns)
        if kind := self._other_clock(offset_ns):
            return StampFault(kind, count, count, last, offset_ns)
        return None

    @property
    def _enough(self) -> bool:
        frames = self._frames
        return len(frames) >= MIN_FRAMES and frames[-1].received_ns - frames[0].received_ns >= WINDOW_NS

    def _ratio(self, steps: list[int]) -> float:
        """How far times advance while frames arrive; a clock that was set a few times among them counts for nothing."""
        span_ns = self._frames[-1].received_ns - self._frames[0].received_ns
        jumps = [step for step in steps if abs(step) > span_ns]
        few = len(jumps) <= _JUMPS_SHARE * len(steps)
        return (sum(steps) - (sum(jumps) if few else 0)) / span_ns

    def _other_clock(self, offset_ns: int) -> FaultKind | None:
        latest, earliest = (function(frame.captured_ns - frame.received_ns for frame in self._frames) for function in (max, min))
        if abs(offset_ns - self._wall_ns) < WALL_NS and abs(self._wall_ns) > 2 * WALL_NS:
            return "wall_clock"
        if earliest > AHEAD_NS:
            return "ahead"
        return "behind" if latest < -BEHIND_NS else None
