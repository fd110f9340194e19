"""Offset and drift of another host's clock, with a guaranteed bound, from probes that the host answers.

A probe leaves at one local time, returns at another, and carries a time that the remote clock showed in between. So each probe
gives an interval that contains the offset, as wide as its round trip, however asymmetric the path is. Intervals of earlier
probes, widened by how far the clocks can have drifted since, are intersected: the offset lies in all of them.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_DRIFT = 500e-6
"""Largest relative rate of two clocks: the most by which Linux slews a clock (MAXFREQ)."""
WANDER = 1e-6
"""By how much a clock's rate may differ from its mean over the window: crystals follow their temperature."""
SLOT_NS = 2_000_000_000
"""Of the probes in each slot of time, the one with the smallest round trip is kept."""
SLOTS = 32
SETTLED_NS = 2_000_000
"""A bound that is small enough for pairing: a fraction of any camera's period."""
PATIENCE = 20
"""Answers after which a clock counts as settled with any bound: its path is slow."""


class Probe(NamedTuple):
    """One question and its answer."""

    sent_ns: int
    """Local clock, before the question was sent."""
    remote_ns: int
    """Remote clock, at some moment in between."""
    received_ns: int
    """Local clock, after the answer arrived."""

    @property
    def round_trip_ns(self) -> int:
        return self.received_ns - self.sent_ns


class Offset(NamedTuple):
    """Remote clock minus local clock."""

    ns: int
    bound_ns: int
    """The truth is no farther from `ns` than this."""


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A remote clock relative to the local one at a moment."""

    offset_ns: int
    """Remote minus local."""
    bound_ns: int
    """The truth is no farther from that."""
    drift_ppm: float
    """Relative rate, parts per million; positive where it runs faster."""
    drift_bound_ppm: float
    round_trip_ns: int
    """The smallest of the kept probes."""
    steps: int
    """Count of clock steps."""

    def __str__(self) -> str:
        return (
            f"clock {self.offset_ns / 1e6:+.3f} ms from this host's, known to ±{self.bound_ns / 1e6:.3f} ms; "
            f"drifts {self.drift_ppm:+.1f} ±{self.drift_bound_ppm:.1f} ppm"
        )


class RemoteClock:
    """Estimator of one remote clock. Bounded memory; after a clock step it starts again from the next probe."""

    def __init__(self) -> None:
        self.steps = 0
        """Count of clock steps."""
        self.answers = 0
        """Count of answered probes."""
        self.suspected = False
        """Whether the clock seems to have been set, so that a probe should be sent at once."""
        self._probes: deque[Probe] = deque(maxlen=SLOTS)
        self._since_set = 0
        """Count since the last clock step."""
        self._newest: Probe | None = None
        self._base_ns = 0
        self._at = self._low = self._high = np.zeros(0)
        self._drift = (-MAX_DRIFT, MAX_DRIFT)

    @property
    def known(self) -> bool:
        """Whether a probe was answered since the last clock step."""
        return bool(self._probes)

    @property
    def settled(self) -> bool:
        """Whether the bound is small enough for pairing, or will not get smaller: one late answer alone is too little."""
        if not self.known or self._newest is None:
            return False
        return self._since_set >= PATIENCE or self.offset(self._newest.received_ns).bound_ns <= SETTLED_NS

    def reading(self, at_ns: int) -> ClockReading:
        """The estimate at local time `at_ns`."""
        offset = self.offset(at_ns)
        slowest, fastest = (1e6 * drift for drift in self._drift)
        shortest_ns = min(probe.round_trip_ns for probe in self._probes)
        return ClockReading(*offset, (slowest + fastest) / 2, (fastest - slowest) / 2, shortest_ns, self.steps)

    def add(self, probe: Probe) -> None:
        """Add an answered probe; probes are added in the order of their answers."""
        assert probe.round_trip_ns >= 0, probe
        self.suspected = False
        self.answers += 1
        if self.known:
            known = self.offset(probe.received_ns)
            low, high = _interval_ns(probe)
            if low > known.ns + known.bound_ns or high < known.ns - known.bound_ns:
                self._forget()
        self._keep(probe)
        if not self._fits():
            self._forget()
            self._keep(probe)
            self._fits()

    def offset(self, at_ns: int) -> Offset:
        """The offset at local time `at_ns`."""
        assert self.known
        since = at_ns - self._base_ns - self._at
        slow, fast = (drift * since for drift in self._drift)
        low = float(np.max(self._low + np.minimum(slow, fast)))
        high = float(np.min(self._high + np.maximum(slow, fast)))
        # Contradictions are found when a probe is added; a negative width here is rounding.
        middle = round((low + high) / 2)
        return Offset(middle + self._reference_ns, max(0, round((high - low) / 2)) + 1)

    def to_local(self, remote_ns: int) -> Offset:
        """Local time at which the remote clock showed `remote_ns`, with its bound."""
        assert self._newest is not None
        rough_ns = remote_ns - self.offset(self._newest.received_ns).ns
        there = self.offset(rough_ns)
        # That moment is known to within the bound only, during which the clocks drift a little.
        return Offset(remote_ns - there.ns, there.bound_ns + round(2 * MAX_DRIFT * there.bound_ns) + 2)

    def _forget(self) -> None:
        """Start again after a clock step."""
        self.steps += 1
        self._probes.clear()
        self._since_set = 0

    def _keep(self, probe: Probe) -> None:
        """Put a probe into its slot, if it is the best of it."""
        self._newest = probe
        self._since_set += 1
        if self._probes and self._probes[-1].received_ns // SLOT_NS == probe.received_ns // SLOT_NS:
            if probe.round_trip_ns > self._probes[-1].round_trip_ns:
                return
            self._probes.pop()
        self._probes.append(probe)

    def _fits(self) -> bool:
        """Intersect the intervals of the kept probes; False where they contradict each other."""
        first = self._probes[0]
        self._base_ns, self._reference_ns = first.received_ns, first.remote_ns - first.received_ns
        self._at = np.array([probe.received_ns - self._base_ns for probe in self._probes], float)
        intervals = [_interval_ns(probe) for probe in self._probes]
        self._low, self._high = (
            np.array([side - self._reference_ns for side in sides], float) for sides in zip(*intervals, strict=True)
        )
        self._drift = (-MAX_DRIFT, MAX_DRIFT)
        apart = self._at[None, :] - self._at[:, None]
        later = apart > 0
        if later.any():
            slowest = ((self._low[None, :] - self._high[:, None])[later] / apart[later]).max() - WANDER
            fastest = ((self._high[None, :] - self._low[:, None])[later] / apart[later]).min() + WANDER
            if slowest > fastest or slowest > MAX_DRIFT or fastest < -MAX_DRIFT:
                return False
            self._drift = (max(slowest, -MAX_DRIFT), min(fastest, MAX_DRIFT))
        return True


def _interval_ns(probe: Probe) -> tuple[int, int]:
    """Lower and upper bound of the offset when the answer arrived."""
    drifted = int(MAX_DRIFT * probe.round_trip_ns) + 1
    return probe.remote_ns - probe.received_ns, probe.remote_ns - probe.sent_ns + drifted
