"""At which lag do both views' palms fit two fixed cameras best? Finer than the motion's correlation where a hand turns and moves.

Two fixed cameras have one fundamental matrix, which relates the joints in both frames of one time; frames of different times
do not fit it while the hand moves.
"""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.joints import FINGER_MCPS, WRIST
from runtime.synchronization.correlation import vertex
from runtime.synchronization.motion import HandMotion

PALM = [WRIST, *FINGER_MCPS]
"""The joints that views see best; the places of finger tips have errors that depend on the side from which they are seen."""
SEARCH_S, STEP_S = 0.12, 0.006
"""Lags that are tried, around that of the correlation."""
MIN_FRAMES, MAX_FRAMES = 40, 400
BLOCKS = 8
"""Parts of the time, each left out once, that give the uncertainty (jackknife)."""
_ROUNDS = 5
_OUTLIER_SHARE = 2.0
"""From this multiple of the residuals' scale on, a residual counts as an outlier (Geman-McClure)."""


@dataclass(frozen=True, slots=True)
class EpipolarLag:
    """The lag at which residuals are smallest."""

    lag_s: float
    """By how much the right view's times are to be moved to later."""
    sigma_s: float
    """Standard deviation."""


def epipolar_lag(motions: PerView[HandMotion], around_s: float) -> EpipolarLag | None:
    """The lag near `around_s` at which the palms fit a fundamental matrix best; None where none is best."""
    lags_s = around_s + np.arange(-SEARCH_S, SEARCH_S + STEP_S / 2, STEP_S)
    left, right = motions
    times_s = left.times_s
    usable = left.known(times_s)
    for lag_s in (lags_s[0], lags_s[-1]):
        usable &= right.known(times_s - lag_s)
    times_s = times_s[usable]
    if len(times_s) < MIN_FRAMES:
        return None
    times_s = times_s[np.linspace(0, len(times_s) - 1, min(len(times_s), MAX_FRAMES)).astype(int)]
    fixed = _normalized(left.averaged(times_s)[:, PALM])
    moving = [_normalized(right.averaged(times_s - lag_s)[:, PALM]) for lag_s in lags_s]
    block = np.arange(len(times_s)) * BLOCKS // len(times_s)

    def best(part: np.ndarray) -> float | None:
        costs = np.array([_residual(fixed[part], other[part]) for other in moving])
        lowest = int(np.argmin(costs))
        if lowest in (0, len(costs) - 1):
            return None
        near = slice(max(lowest - 5, 0), lowest + 6)
        return vertex(lags_s[near], -(costs[near] ** 2))

    lag_s = best(np.ones(len(times_s), bool))
    without = [best(block != number) for number in range(BLOCKS)]
    left_out = np.array([each for each in without if each is not None])
    if lag_s is None or len(left_out) < BLOCKS:
        return None
    spread = float(np.sqrt((BLOCKS - 1) * np.mean((left_out - left_out.mean()) ** 2)))
    return EpipolarLag(lag_s, spread)


def _normalized(pixels: np.ndarray) -> np.ndarray:
    """Pixels (M, J, 2) about their median, in units of their mean distance from it (Hartley 1997)."""
    centred = pixels - np.median(pixels.reshape(-1, 2), 0)
    return centred / max(float(np.abs(centred).mean()), 1e-9)


def _residual(left: np.ndarray, right: np.ndarray) -> float:
    """Median epipolar residual (Sampson) of the fundamental matrix that fits pixels (M, J, 2) best, robustly."""
    left, right = (np.concatenate([each.reshape(-1, 2), np.ones((each[..., 0].size, 1))], 1) for each in (left, right))
    rows = (right[:, :, None] * left[:, None, :]).reshape(-1, 9)
    weight = np.ones(len(rows))
    residual = np.zeros(len(rows))
    for _ in range(_ROUNDS):
        F = np.linalg.eigh((rows * weight[:, None]).T @ rows)[1][:, 0].reshape(3, 3)
        U, S, V = np.linalg.svd(F)
        F = U * [S[0], S[1], 0.0] @ V
        line_right, line_left = left @ F.T, right @ F
        gradient = (line_right[:, :2] ** 2).sum(1) + (line_left[:, :2] ** 2).sum(1)
        residual = np.abs((right * line_right).sum(1)) / np.sqrt(np.maximum(gradient, 1e-18))
        scale = _OUTLIER_SHARE * 1.4826 * max(float(np.median(residual)), 1e-9)
        weight = 1 / np.maximum(gradient, 1e-18) / (1 + (residual / scale) ** 2) ** 2
    return float(np.median(residual))
