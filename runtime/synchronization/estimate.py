"""By how much is one view's time shifted against the other's? From the speed of the hand that both see."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from capture.views import PerView
from runtime.synchronization.correlation import Correlation, correlate, independent_samples
from runtime.synchronization.epipolar import epipolar_lag
from runtime.synchronization.motion import HandMotion

GRID_S = 1 / 60
"""Distance of the instants at which speeds are compared."""
MIN_OVERLAP_S = 2.0
"""Least time that both views must share."""
MIN_CORRELATION = 0.5
MIN_MARGIN = 0.12
"""By which the correlation must exceed that of any other shift."""
MIN_SIGNIFICANCE = 4.0
"""Standard deviations (Fisher's z) by which the correlation must exceed none at all, for it is the best of hundreds of shifts."""
MIN_KNOWN = 0.8
"""Share of the time in which both views must see the hand for its motion to contradict how they are paired."""
SPEED_SIGMA_S, PALM_SIGMA_S = 0.012, 0.004
"""Uncertainties that no average takes away: views see different components of one motion, so that its speeds are not quite one
signal; and an estimator's errors depend on the side from which it sees the hand."""
_PEAK_S, _SAME_PEAK_S = 0.1, 0.3
"""Half of the peak's width that its vertex is found from, and the distance from which on a peak is another one."""
_BLOCKS = 8
"""Parts of the time, each left out once, that give the uncertainty (jackknife)."""


@dataclass(frozen=True, slots=True)
class Lag:
    """The shift at which two views' hands move most alike."""

    lag_s: float
    """By how much the right view's times are to be moved to later."""
    sigma_s: float
    """Standard deviation."""
    correlation: float
    """Of the hands' speeds in both views, at that shift."""
    margin: float
    """By how much that exceeds the correlation at any other shift."""
    significance: float
    """Standard deviations by which it exceeds none."""

    @property
    def certain(self) -> bool:
        """Whether it is a figure to rely on."""
        alike = self.correlation >= MIN_CORRELATION and self.margin >= MIN_MARGIN
        return alike and self.significance >= MIN_SIGNIFICANCE


def find_lag(motions: PerView[HandMotion], max_lag_s: float = math.inf) -> Lag | None:
    """The shift, of at most `max_lag_s`, at which both hands move most alike; None where they share too little time."""
    if any(len(motion.times_s) < 2 for motion in motions):
        return None
    signals = motions.map(lambda motion: motion.speed(grid(motion)))
    start_s = float(motions.left.times_s[0] - motions.right.times_s[0])

    def compare(left: np.ndarray) -> Correlation:
        found = correlate(left, signals.right, min_overlap=round(MIN_OVERLAP_S / GRID_S))
        return found.within((-max_lag_s - start_s) / GRID_S, (max_lag_s - start_s) / GRID_S)

    whole = compare(signals.left)
    best = whole.best()
    if best is None:
        return None
    width, samples = round(_PEAK_S / GRID_S), int(whole.lags[best])
    first, last = max(0, samples), min(len(signals.left), len(signals.right) + samples)
    independent = independent_samples(signals.left[first:last], signals.right[first - samples : last - samples])
    correlation = float(whole.values[best])

    def peak(left: np.ndarray) -> float:
        found = compare(left)
        return found.peak(width) if found.best() is not None else math.nan

    spread = jackknife(signals.left, first, last, peak)
    if math.isnan(spread):
        # What they share is hardly enough, and without one of its parts too little.
        return None
    return Lag(
        lag_s=whole.peak(width) * GRID_S + start_s,
        sigma_s=math.hypot(SPEED_SIGMA_S, GRID_S * spread),
        correlation=correlation,
        margin=correlation - whole.runner_up(round(_SAME_PEAK_S / GRID_S)),
        significance=math.atanh(min(correlation, 0.999)) * math.sqrt(max(independent - 3, 0)),
    )


def contradict_pairing(motions: PerView[HandMotion]) -> bool:
    """Whether hands that both views saw nearly all the time do not move alike as they are paired now.

    Hands that are seen badly, as in grey pictures or with another aspect, have speeds that are alike a little only: that they
    are at no shift clearly more alike says nothing.
    """
    start_s = max(float(motion.times_s[0]) for motion in motions)
    end_s = min(float(motion.times_s[-1]) for motion in motions)
    if end_s - start_s < MIN_OVERLAP_S:
        return False
    times_s = np.arange(start_s, end_s, GRID_S)
    left, right = motions.map(lambda motion: motion.speed(times_s))
    known = np.isfinite(left) & np.isfinite(right)
    if known.mean() < MIN_KNOWN:
        return False
    correlation = float(np.corrcoef(left[known], right[known])[0, 1])
    return not correlation >= MIN_CORRELATION / 2


def refine_lag(motions: PerView[HandMotion], coarse: Lag) -> Lag:
    """The same shift, more finely, by the palms' epipolar residuals where those tell."""
    fine = epipolar_lag(motions, coarse.lag_s)
    if fine is None:
        return coarse
    fine_sigma_s = math.hypot(fine.sigma_s, PALM_SIGMA_S)
    if abs(fine.lag_s - coarse.lag_s) > 4 * math.hypot(fine_sigma_s, coarse.sigma_s):
        return coarse
    weights = np.array([coarse.sigma_s, fine_sigma_s]) ** -2.0
    lag_s = float(weights @ [coarse.lag_s, fine.lag_s] / weights.sum())
    return replace(coarse, lag_s=lag_s, sigma_s=float(weights.sum()) ** -0.5)


def grid(motion: HandMotion) -> np.ndarray:
    """The instants, s, at which a motion is compared."""
    return np.arange(motion.times_s[0], motion.times_s[-1], GRID_S)


def jackknife(signal: np.ndarray, first: int, last: int, value: Callable[[np.ndarray], float]) -> float:
    """Standard deviation of `value` of a signal, from leaving out one part of its samples `first` to `last` after another."""
    edges = np.linspace(first, last, _BLOCKS + 1).astype(int)
    values = []
    for start, end in pairwise(edges):
        without = signal.copy()
        without[start:end] = np.nan
        values.append(value(without))
    return float(np.sqrt((_BLOCKS - 1) * np.var(values)))
