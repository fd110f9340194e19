"""Measures of predictions: percentage of correct keypoints, area under its curve, rank correlation, reliability."""

from dataclasses import dataclass

import numpy as np

from hand.rotations import align


def pck(errors: np.ndarray, threshold: float) -> float:
    """Percentage of correct keypoints, as a share: errors of any shape that are below `threshold`; a NaN counts as incorrect."""
    return float((errors < threshold).mean())


def pck_curve(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(T,) PCK at each of the ascending thresholds (T,)."""
    ordered = np.sort(errors, axis=None)
    return np.searchsorted(ordered, thresholds, side="left") / ordered.size


def auc(errors: np.ndarray, limit: float) -> float:
    """Area under the PCK curve from 0 to `limit`, as a share of the whole: 1 for perfect predictions. A NaN counts as incorrect.

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


def aligned_errors(joints: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N, J) distances of joints (N, J, 3) from the truth after the best rotation, scale and shift (Procrustes; Umeyama 1991)."""
    source, target = (points - points.mean(1, keepdims=True) for points in (joints, truth))
    turned = source @ np.swapaxes(align(source, target), -1, -2)
    scale = (turned * target).sum((1, 2)) / (source**2).sum((1, 2))
    return np.linalg.norm(scale[:, None, None] * turned - target, axis=-1)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Expected and true errors, in bins of about as many predictions each, the most confident first."""

    expected: np.ndarray
    """(B,) mean of each bin."""
    true: np.ndarray
    """(B,) mean of each bin."""

    @property
    def gap(self) -> float:
        """Mean distance from the diagonal."""
        return float(np.abs(self.expected - self.true).mean())


def reliability(expected: np.ndarray, true: np.ndarray, bins: int = 10) -> Reliability:
    """Bin `true` errors by the `expected` ones, two arrays of one shape; at most one bin a prediction."""
    order = np.argsort(expected, axis=None, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return Reliability(*(np.array([values.ravel()[part].mean() for part in parts]) for values in (expected, true)))
