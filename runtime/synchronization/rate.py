"""How many times slower does one view play than the other? The rate at which both hands move most alike."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView
from runtime.synchronization.correlation import correlate, vertex
from runtime.synchronization.estimate import GRID_S, MIN_OVERLAP_S, Lag, find_lag, grid, jackknife
from runtime.synchronization.motion import HandMotion

MAX_FACTOR = 12.0
MIN_SIGNIFICANCE = 5.0
"""As for a shift alone, for the best of thousands of rates and shifts."""
USUAL = (1.0, 25 / 24, 1.2, 1.25, 2.0, 2.4, 2.5, 4.0, 4.8, 5.0, 8.0, 9.6, 10.0)
"""Ratios of cameras' usual rates, which a figure that does not contradict them stands for."""
_STEP_S = 0.1
"""By which the ends of the shared time move against each other between two rates that are tried."""
_JOINTS = 6
"""About so many of the joints are enough for the search, which looks at thousands of rates."""
_FINE = np.arange(-8, 9) / 4
"""Steps around the best rate that give its vertex."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How the right view plays against the left one."""

    factor: float
    """How many times slower."""
    sigma: float
    """Standard deviation."""
    lag: Lag
    """At that rate, in the time of the view that plays faster."""

    @property
    def certain(self) -> bool:
        return self.lag.certain and (self.factor == 1 or self.lag.significance >= MIN_SIGNIFICANCE)


def in_real_time(motions: PerView[HandMotion], factor: float) -> PerView[HandMotion]:
    """Both motions in the time of the view that plays faster, where the right one plays `factor` times slower."""
    return PerView(motions.left.at_rate(max(1.0, 1 / factor)), motions.right.at_rate(max(1.0, factor)))


def find_rate(motions: PerView[HandMotion]) -> Rate | None:
    """The rate at which both hands move most alike; None where they share too little time at any."""
    lag = find_lag(motions)
    if lag is not None and lag.certain:
        return _refined(motions, 1.0)
    few = motions.map(lambda motion: replace(motion, pixels=motion.pixels[:, :: max(1, motion.pixels.shape[1] // _JOINTS)]))
    alike = {factor: _alikeness(few, factor) for factor in _factors(motions)}
    best = max(alike, key=lambda factor: alike[factor], default=None)
    return None if best is None or alike[best] <= 0 else _refined(motions, best)


def _factors(motions: PerView[HandMotion]) -> Iterator[float]:
    """All rates to be tried: at each, the hands may differ by a tenth of a second at the ends of the time that they share."""
    for sign in (1, -1):
        factor = 1.0
        while factor <= MAX_FACTOR:
            shared = in_real_time(motions, factor**sign)
            shared_s = min(motion.duration_s for motion in shared)
            if shared_s >= MIN_OVERLAP_S:
                yield factor**sign
            factor *= 1 + _step(shared_s)


def _step(shared_s: float) -> float:
    return _STEP_S / max(shared_s, MIN_OVERLAP_S)


def _alikeness(motions: PerView[HandMotion], factor: float) -> float:
    """Fisher's z of the best shift at a rate, weighted as if each second were one independent sample."""
    real = in_real_time(motions, factor)
    found = correlate(*real.map(lambda motion: motion.speed(grid(motion))), min_overlap=round(MIN_OVERLAP_S / GRID_S))
    best = found.best()
    if best is None:
        return 0.0
    shared_s = min(motion.duration_s for motion in real)
    return math.atanh(min(float(found.values[best]), 0.999)) * math.sqrt(shared_s)


def _refined(motions: PerView[HandMotion], coarse: float) -> Rate | None:
    shared_s = min(motion.duration_s for motion in in_real_time(motions, coarse))
    factors = coarse * (1 + _FINE * _step(shared_s))
    fixed = motions.left if coarse >= 1 else motions.right
    moving = motions.right if coarse >= 1 else motions.left
    signal = fixed.speed(grid(fixed))
    others = [moving.at_rate(f if coarse >= 1 else 1 / f) for f in factors]
    speeds = [other.speed(grid(other)) for other in others]

    def best(signal: np.ndarray) -> float:
        heights = []
        for speed in speeds:
            found = correlate(signal, speed, min_overlap=round(MIN_OVERLAP_S / GRID_S))
            top = found.best()
            heights.append(-1.0 if top is None else float(found.values[top]))
        top = int(np.argmax(heights))
        near = slice(max(top - 4, 0), top + 5)
        return vertex(factors[near], np.array(heights)[near])

    factor, sigma = best(signal), jackknife(signal, 0, len(signal), best)
    usual = min((*USUAL, *(1 / each for each in USUAL)), key=lambda each: abs(math.log(each / factor)))
    factor = usual if abs(usual - factor) < 2 * sigma else factor
    lag = find_lag(in_real_time(motions, factor))
    return None if lag is None else Rate(factor, sigma, lag)
