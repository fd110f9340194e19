"""What predictions are worth: shares of keypoints within a distance, areas under their curves, rank correlation, reliability."""

from dataclasses import dataclass

import numpy as np


def pck(errors: np.ndarray, threshold: float) -> float:
    """Percentage of correct keypoints, as a share: errors of any shape that are below `threshold`; a NaN is a miss."""
    return float((errors < threshold).mean())


def pck_curve(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) PCK at each of the ascending thresholds (T,)."""
    ordered = np.sort(errors, axis=None)
    return np.searchsorted(ordered, thresholds, side="left") / ordered.size


def auc(errors: np.ndarray, limit: float) -> float:
    """Area under the PCK curve from 0 to `limit`, as a share of the whole: 1 for perfect predictions. A NaN is a miss.

    The curve is a step for each keypoint, so the area is exact: what each leaves of the limit.
    """
    return float(np.nan_to_num(1 - errors / limit, nan=0.0).clip(0).mean())


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's coefficient of two arrays of one shape, flattened; NaN where all values of one are the same."""
    of_a, of_b = (_ranks(values.ravel()) for values in (a, b))
    spread = of_a.std() * of_b.std()
    return float(((of_a - of_a.mean()) * (of_b - of_b.mean())).mean() / spread) if spread > 0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """(N,) the rank of each value; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[place]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Errors foretold and errors made, in bins of about as many predictions each, the surest first."""

    foretold: np.ndarray
    """(B,) mean of each bin."""
    made: np.ndarray
    """(B,) mean of each bin."""

    @property
    def gap(self) -> float:
        """Mean distance from the diagonal."""
        return float(np.abs(self.foretold - self.made).mean())


def reliability(foretold: np.ndarray, made: np.ndarray, bins: int = 10) -> Reliability:
    """Sort errors `made` by the errors `foretold`, two arrays of one shape; at most one bin a prediction."""
    order = np.argsort(foretold, axis=None, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return Reliability(*(np.array([values.ravel()[part].mean() for part in parts]) for values in (foretold, made)))
