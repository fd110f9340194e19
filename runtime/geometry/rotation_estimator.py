"""Estimates the rotation between the two cameras from the two views' hands as they stream in."""

import math

import numpy as np

from hand.rotations import align, correlation, project_to_rotation

MAX_ROTATION_UNCERTAINTY_DEG = 12.0
"""Uncertainty threshold for merging by the rotation; above it, one view alone is more accurate."""
CAPACITY = 96
MAX_AGE_NS = 120 * 10**9
"""Older pairs are discarded: a camera may have been moved."""
REDUNDANCY_SCALE = 0.12
"""Unit-hand distance (root mean square over the joints) below which two hands are redundant."""
CANDIDATES = 5
"""Newest pairs whose own rotations are tried as initial values, besides the last estimate."""
ITERATIONS = 3
TRUST_POWER = 4
"""A pair is weighted by this power of its mean joint weight: pairs of low confidence are mostly wrong."""


class RotationEstimator:
    """Robust R_right_from_left over a bounded set of recent, diverse pairs.

    The correlation M_i of pair i is sufficient for the least-squares problem. How much worse R fits pair i than its
    own best rotation R_i is q_i(R) = 2 (tr R_iᵀM_i − tr RᵀM_i) ≥ 0: for a flat or collinear hand q_i changes little with
    rotations about the axis that it does not determine. The estimate minimises a Geman-McClure loss of q_i / v_i, where
    v_i is the residual of R_i. It starts from the last estimate or, where that has the lower weighted
    median, from one of the newest pairs' own rotations, so outliers may hold just under half of the weight.
    """

    def __init__(self, capacity: int = CAPACITY, max_age_ns: int = MAX_AGE_NS):
        self.rotation: np.ndarray | None = None
        """(3, 3) R_right_from_left; None before the first pair."""
        self.uncertainty_deg = float("inf")
        """Root mean square of the estimate's angular error, from the pairs' scatter; infinite before two differing pairs.

        It does not include errors common to all pairs.
        """
        self._capacity = capacity
        self._max_age_ns = max_age_ns
        self._time_ns = np.empty(0, np.int64)
        self._hand = np.empty((0, 21, 3))
        self._M = np.empty((0, 3, 3))
        self._own = np.empty((0, 3, 3))
        self._misfit = np.empty(0)
        self._trust = np.empty(0)
        self._redundancy = np.empty((0, 0))
        """(N, N) redundancy of two pairs, in (0, 1]."""

    @property
    def count(self) -> int:
        """Pairs in use."""
        return len(self._time_ns)

    def update(self, captured_ns: int, left: np.ndarray, right: np.ndarray, weight: np.ndarray) -> None:
        """Add a pair of unit hands (21, 3), each in its camera's axes, with joint weights (21,).

        A pair that is not finite or has no weight is ignored.
        """
        total = weight.sum()
        if not (np.isfinite(left).all() and np.isfinite(right).all() and total > 0):
            return
        trust = float(weight.mean()) ** TRUST_POWER
        weight = weight / total
        # Aligned at the wrists, not at the centroids: independent joint errors would make that worse, but a network's errors are
        # correlated, and it estimates the direction from the wrist to the fingers best.
        own = align(left, right, weight)
        misfit = float(weight @ ((left @ own.T - right) ** 2).sum(-1))
        self._add(captured_ns, left, correlation(left, right, weight), own, misfit, trust)
        self._solve()

    def _add(self, captured_ns: int, hand: np.ndarray, M: np.ndarray, own: np.ndarray, misfit: float, trust: float) -> None:
        self._keep(captured_ns - self._time_ns <= self._max_age_ns)
        if self.count >= self._capacity:
            # The older of the two most similar hands is discarded, which keeps the set diverse.
            alike = np.argmax(self._redundancy - np.eye(self.count))
            pair = np.unravel_index(alike, self._redundancy.shape)
            keep = np.ones(self.count, bool)
            keep[min(pair, key=lambda i: self._time_ns[i])] = False
            self._keep(keep)
        difference = ((self._hand - hand) ** 2).sum((1, 2)) / len(hand)
        grown = np.ones((self.count + 1, self.count + 1))
        grown[:-1, :-1] = self._redundancy
        grown[-1, :-1] = grown[:-1, -1] = np.exp(-0.5 * difference / REDUNDANCY_SCALE**2)
        self._redundancy = grown
        self._time_ns = np.append(self._time_ns, captured_ns)
        self._hand = np.concatenate([self._hand, hand[None]])
        self._M = np.concatenate([self._M, M[None]])
        self._own = np.concatenate([self._own, own[None]])
        self._misfit = np.append(self._misfit, misfit)
        self._trust = np.append(self._trust, trust)

    def _keep(self, keep: np.ndarray) -> None:
        if keep.all():
            return
        self._time_ns, self._hand, self._misfit = self._time_ns[keep], self._hand[keep], self._misfit[keep]
        self._M, self._own, self._trust = self._M[keep], self._own[keep], self._trust[keep]
        self._redundancy = self._redundancy[keep][:, keep]

    def _solve(self) -> None:
        M, own = self._M, self._own
        share = self._trust / self._redundancy.sum(1)
        # Half of the typical residual is added: two bad hands may fit each other well by chance.
        variance = self._misfit + 0.5 * np.median(self._misfit) + 1e-9
        best = np.einsum("nij,nij->n", own, M)

        candidates = own[-CANDIDATES:]
        if self.rotation is not None:
            candidates = np.concatenate([candidates, self.rotation[None]])
        excess = self._excess(candidates, best) / variance
        R = candidates[np.argmin(_weighted_medians(excess, share))]

        weight = share
        for _ in range(ITERATIONS):
            q = self._excess(R[None], best)[0] / variance
            # Eight medians: beyond the 99 % point of χ²₃, so inliers keep nearly all of their weight.
            scale = 8 * _weighted_medians(q[None], share)[0] + 1e-6
            weight = share * (1 + q / scale) ** -2 / variance
            R = project_to_rotation((weight @ M.reshape(-1, 9)).reshape(3, 3))
        self.rotation = R
        self.uncertainty_deg = _uncertainty_deg(M @ R.T, weight, self._redundancy)

    def _excess(self, rotations: np.ndarray, best: np.ndarray) -> np.ndarray:
        """(C, N) q_i of each rotation (C, 3, 3)."""
        return np.maximum(2 * (best - rotations.reshape(-1, 9) @ self._M.reshape(-1, 9).T), 0)


def _weighted_medians(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(C,) medians of each row of values (C, N), all with weights (N,)."""
    order = values.argsort(1)
    cumulative = weight[order].cumsum(1)
    middle = (cumulative >= 0.5 * cumulative[:, -1:]).argmax(1)
    rows = np.arange(len(values))
    return values[rows, order[rows, middle]]


def _uncertainty_deg(turned: np.ndarray, weight: np.ndarray, redundancy: np.ndarray) -> float:
    """Root mean square angle of the estimate's error, by the sandwich formula H⁻¹ B H⁻¹ of M-estimators (Huber 1967).

    `turned`: (N, 3, 3) M_i Rᵀ; `redundancy`: (N, N) of two pairs, which reduces the effective number of pairs.
    """
    effective = weight.sum() ** 2 / (weight @ redundancy @ weight)
    if effective <= 1 + 1e-6:
        return float("inf")
    gradient = turned[:, [2, 0, 1], [1, 2, 0]] - turned[:, [1, 2, 0], [2, 0, 1]]
    total = (weight @ turned.reshape(-1, 9)).reshape(3, 3)
    H = total.trace() * np.eye(3) - (total + total.T) / 2
    score = weight[:, None] * gradient
    independent = weight.sum() ** 2 / (weight @ weight)
    B = score.T @ score * (independent / effective) * (effective / (effective - 1))
    values, vectors = np.linalg.eigh(H)
    if values[0] < 1e-9:
        return float("inf")
    inverse = vectors / values @ vectors.T
    return min(math.degrees(math.sqrt((inverse @ B @ inverse).trace())), 180.0)
