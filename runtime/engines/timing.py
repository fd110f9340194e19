"""How long each engine takes for a pair, in turns with the others, and whether the machine was busy meanwhile."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from runtime.engines.cpu_load import CpuCounters, CpuLoad
from runtime.engines.engine import Engine
from runtime.engines.machine import gpu

TIMED_S = 0.2
"""Time that each engine is timed for, in turns with the others."""
LOW = 0.1
"""Quantile of the times of an engine that depends little on what else the machine does."""
MAX_SPREAD = 1.5
"""Largest ratio of median to low quantile of undisturbed runs."""
_PAIR = 2
"""Crops of a pair."""

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Timing(Generic[Name]):
    """Times of several engines for a pair, measured in turns; milliseconds."""

    wall_ms: Mapping[Name, float]
    """Medians."""
    low_ms: Mapping[Name, float]
    """Low quantiles (`LOW`)."""
    cpu_ms: Mapping[Name, float] | None
    """Medians of the CPU time, all threads; None where a GPU may do the work."""
    load: CpuLoad
    """Of the machine, meanwhile."""

    @property
    def spread(self) -> float:
        """Median over the engines of median to low quantile."""
        return float(np.median([self.wall_ms[name] / max(low, 1e-9) for name, low in self.low_ms.items()]))

    @property
    def busy(self) -> bool:
        """Whether something disturbed the runs: other programs, or else what the system does not count."""
        return self.load.busy or self.spread > MAX_SPREAD

    def undisturbed_ms(self, threads: int) -> Mapping[Name, float]:
        """What each would take on an idle machine with so many threads, as far as that can be told.

        On a busy one a short run may end within the time that its thread has a core, and a long one never does: a quarter of the
        work can look like a tenth of the time. So there CPU times are compared, as if all threads had shared the work evenly.
        """
        if not self.busy:
            return self.wall_ms
        if self.cpu_ms is None:
            return self.low_ms
        return {name: ms / threads for name, ms in self.cpu_ms.items()}


def time_engines(
    engines: Mapping[Name, Engine],
    seconds: float = TIMED_S,
    clock: Callable[[], float] = time.perf_counter,
    counters: Callable[[], CpuCounters] = CpuCounters.now,
) -> Timing[Name]:
    """Run each in turns, so that a busy moment hits all alike."""
    spent: dict[Name, list[tuple[float, float]]] = {name: [] for name in engines}
    size = next(iter(engines.values())).manifest.crop_size
    images = np.random.default_rng(0).integers(0, 256, (_PAIR, size, size, 3), np.uint8)
    for engine in engines.values():
        engine(images)
    before = counters()
    until = clock() + seconds * len(engines)
    while clock() < until or min(map(len, spent.values())) < 3:
        for name, engine in engines.items():
            started, started_cpu = clock(), time.process_time()
            engine(images)
            spent[name].append(((clock() - started) * 1e3, (time.process_time() - started_cpu) * 1e3))
    load = CpuLoad.between(before, counters())
    times = {name: np.array(runs) for name, runs in spent.items()}
    wall, cpu = ({name: float(np.median(runs[:, column])) for name, runs in times.items()} for column in (0, 1))
    low = {name: float(np.quantile(runs[:, 0], LOW)) for name, runs in times.items()}
    return Timing(wall, low, None if gpu() else cpu, load)
