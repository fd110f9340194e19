"""Whether other programs had this machine's cores while something was timed: then its times say little about another day."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_TASKS = Path("/proc/self/task")
MAX_WAITED = 0.1
"""Largest share of its time that an undisturbed process waits for a core."""
SPARE_CORES = 0.25
"""Where the system does not say who waited: cores that are idle, at least, while nothing is disturbed."""


@dataclass(frozen=True, slots=True)
class CpuCounters:
    """What the system has counted so far; only differences mean anything."""

    wall_s: float
    own_s: float
    """CPU time of this process, all threads."""
    all_s: float
    """CPU time of all programs, and what other virtual machines took of this one's."""
    waited_s: float | None
    """Time in which threads of this process could have run but had no core; None where the system does not say."""

    @classmethod
    def now(cls) -> "CpuCounters":
        """As they stand."""
        times = psutil.cpu_times()._asdict()
        # Linux counts guests' time as user time already.
        used = sum(seconds for name, seconds in times.items() if name not in ("idle", "iowait", "guest", "guest_nice"))
        return cls(time.perf_counter(), time.process_time(), used, _waited_s())


@dataclass(frozen=True, slots=True)
class CpuLoad:
    """How busy the machine was between two readings of the counters."""

    others: float
    """Cores that other programs used on average."""
    own: float
    """Cores that this process used on average."""
    waited: float | None
    """Share in [0, 1] of this process' time in which its threads waited for a core; None where the system does not say."""
    cores: int

    @classmethod
    def between(cls, before: CpuCounters, after: CpuCounters, cores: int | None = None) -> "CpuLoad":
        wall_s = max(after.wall_s - before.wall_s, 1e-9)
        own_s = after.own_s - before.own_s
        others_s = max(after.all_s - before.all_s - own_s, 0.0)
        waited = None
        if before.waited_s is not None and after.waited_s is not None:
            # Of threads that ended meanwhile nothing is known.
            waited_s = max(after.waited_s - before.waited_s, 0.0)
            waited = waited_s / max(waited_s + own_s, 1e-9)
        return cls(others_s / wall_s, own_s / wall_s, waited, cores or os.cpu_count() or 1)

    @property
    def busy(self) -> bool:
        """Whether other programs disturbed this one."""
        if self.waited is not None:
            # Threads of this process alone may wait for each other's core, too.
            return self.waited > MAX_WAITED and self.others > SPARE_CORES
        return self.others + self.own > self.cores - SPARE_CORES and self.others > SPARE_CORES


def _waited_s() -> float | None:
    """Of all threads of this process, by Linux' scheduler statistics (Documentation/scheduler/sched-stats)."""
    waited_ns = 0
    try:
        for task in _TASKS.iterdir():
            try:
                waited_ns += int((task / "schedstat").read_text().split()[1])
            except ProcessLookupError:
                # It ended between the two calls.
                continue
    except (OSError, IndexError, ValueError):
        return None
    return waited_ns / 1e9
