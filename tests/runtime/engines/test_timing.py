"""Engines are timed in turns, and what other programs do to the times is found out."""

from itertools import cycle

import numpy as np
import pytest

from runtime.engines.cpu_load import CpuCounters, CpuLoad
from runtime.engines.engine import Predictions
from runtime.engines.timing import Timing, time_engines
from runtime.networks.weights import Manifest

IDLE = CpuLoad(others=0.0, own=1.0, waited=0.0, cores=2)
BUSY = CpuLoad(others=1.8, own=0.2, waited=0.8, cores=2)


class Clock:
    """A fake clock, advanced by `TimedEngine`."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def counters(self) -> CpuCounters:
        """Of a machine with nothing else to do."""
        return CpuCounters(self.now_s, self.now_s, self.now_s, 0.0)


class TimedEngine:
    """Engine whose calls advance the clock by the given seconds in turn."""

    description = "timed"
    manifest = Manifest(architecture="detnet", root=0, crop_size=8, map_size=1, axes="crop", training_data="none")

    def __init__(self, clock: Clock, *seconds: float):
        self._clock, self._seconds = clock, cycle(seconds)

    def __call__(self, images: np.ndarray) -> Predictions:
        self._clock.now_s += next(self._seconds)
        return Predictions(images, images, images)


def test_engine_time_is_the_median_of_its_runs():
    clock = Clock()
    engines = {"quick": TimedEngine(clock, 0.001), "uneven": TimedEngine(clock, 0.02, 0.9, 0.02)}
    timing = time_engines(engines, 2.0, clock, clock.counters)
    assert timing.wall_ms == pytest.approx({"quick": 1.0, "uneven": 20.0}) and timing.low_ms == pytest.approx(timing.wall_ms)
    assert clock.now_s >= 4.0 and not timing.busy
    assert timing.undisturbed_ms(1) == timing.wall_ms


def test_engines_that_mostly_wait_were_disturbed_whatever_the_system_counts():
    clock = Clock()
    engines = {name: TimedEngine(clock, 0.01, 0.03, 0.03) for name in ("one", "other")}
    timing = time_engines(engines, 1.0, clock, clock.counters)
    assert timing.spread == pytest.approx(3.0) and not timing.load.busy and timing.busy


def test_on_a_busy_machine_the_work_is_compared_not_the_time():
    # A short run fits between two turns of other programs; a long one never does.
    wall, low, cpu = {"short": 1.3, "long": 36.0}, {"short": 1.2, "long": 19.0}, {"short": 1.2, "long": 2.4}
    assert Timing(wall, low, cpu, BUSY).undisturbed_ms(1) == cpu
    assert Timing(wall, low, cpu, BUSY).undisturbed_ms(2) == pytest.approx({"short": 0.6, "long": 1.2})
    # What a GPU does is no CPU time.
    assert Timing(wall, low, None, BUSY).undisturbed_ms(2) == low
    # On an idle one the times are what they are.
    assert Timing(low, low, cpu, IDLE).undisturbed_ms(2) == low
