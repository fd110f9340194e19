"""Mono-M and Dual-M of a camera pair, as sums that add up over batches and shards, and the published evaluation's line.

Mono-M is the error of the two views' own hands, Dual-M that of the merged hand seen from both cameras (S2DHand, section 4).
Hands are put upon the true root joint, scaled to the true length from wrist to middle knuckle, and compared joint by joint;
only joints that the annotation calls valid count.
"""

from dataclasses import dataclass, field

import numpy as np

from capture.views import PerView
from hand.joints import MIDDLE_MCP, WRIST


@dataclass(frozen=True, slots=True)
class Mean:
    """Running mean."""

    total: float = 0.0
    count: int = 0

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float:
        """NaN of nothing."""
        return self.total / self.count if self.count else float("nan")


@dataclass(frozen=True, slots=True)
class PairScores:
    """What two views' hands were off, over any number of pairs; scores of parts add up to those of the whole."""

    pairs: int = 0
    """That were scored."""
    missed: int = 0
    """Without a whole prediction, or with a truth that has no size: they count in no mean."""
    mono_mm: PerView[Mean] = field(default_factory=lambda: PerView(Mean(), Mean()))
    """Over valid joints, each view's own hand."""
    dual_mm: PerView[Mean] = field(default_factory=lambda: PerView(Mean(), Mean()))
    """The merged hand, seen from each camera."""

    def __add__(self, other: "PairScores") -> "PairScores":
        return PairScores(
            self.pairs + other.pairs,
            self.missed + other.missed,
            PerView(self.mono_mm.left + other.mono_mm.left, self.mono_mm.right + other.mono_mm.right),
            PerView(self.dual_mm.left + other.dual_mm.left, self.dual_mm.right + other.dual_mm.right),
        )

    @property
    def mono_m(self) -> float:
        """Mono-M, mm: mean over the valid joints of both views."""
        return (self.mono_mm.left + self.mono_mm.right).value

    @property
    def dual_m(self) -> float:
        """Dual-M, mm."""
        return (self.dual_mm.left + self.dual_mm.right).value

    def line(self, epoch: int, setup: int, pair: tuple[int, int]) -> str:
        """As the published evaluation tells it; `num` counts hands in views, two a pair."""
        name = f"{epoch}-set{setup}-{pair[0]},{pair[1]}"
        return f"{name}: num:{2 * self.pairs}, Mono-M:{self.mono_m:.2f}, Dual-M:{self.dual_m:.2f}"


def score_pairs(
    predicted: PerView[np.ndarray],
    merged: np.ndarray,
    R_right_from_left: np.ndarray,
    truth_mm: PerView[np.ndarray],
    valid: PerView[np.ndarray],
    root: int = WRIST,
) -> PairScores:
    """Score N pairs.

    `predicted` and `truth_mm` (N, 21, 3) in each camera's axes, `merged` (N, 21, 3) in the left one's, predictions in any unit,
    NaN where there is none; `R_right_from_left` (3, 3) the rotation that the program believes, or (N, 3, 3); `valid` (N, 21)
    bool; `root` the joint that hands are put upon: 0, or 9 for networks of that root, as `--root_idx` says.
    """

    def errors_mm(hands: PerView[np.ndarray]) -> PerView[np.ndarray]:
        return PerView.of(lambda view: joint_errors_mm(hands[view], truth_mm[view], root))

    mono = errors_mm(predicted)
    dual = errors_mm(PerView(merged, merged @ np.swapaxes(R_right_from_left, -1, -2)))
    # What is not valid may be anything, in a prediction too.
    whole = np.ones(len(merged), bool)
    for errors in (mono, dual):
        for view, of_view in errors.items():
            whole &= (np.isfinite(of_view) | ~valid[view]).all(1)

    def means(errors: PerView[np.ndarray]) -> PerView[Mean]:
        counted = valid.map(lambda of_view: of_view & whole[:, None])
        return PerView.of(lambda view: Mean(float(errors[view][counted[view]].sum()), int(counted[view].sum())))

    return PairScores(int(whole.sum()), int((~whole).sum()), means(mono), means(dual))


def joint_errors_mm(predicted: np.ndarray, truth_mm: np.ndarray, root: int = WRIST) -> np.ndarray:
    """(N, 21) distances of predictions (N, 21, 3) of any unit from the truth, after alignment; not finite without a size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = _length(truth_mm) / _length(predicted)
        # A truth without a size would agree with everything.
        scale[~(scale > 0)] = np.nan
        return np.linalg.norm(_rooted(predicted, root) * scale[:, None, None] - _rooted(truth_mm, root), axis=-1)


def _length(joints: np.ndarray) -> np.ndarray:
    """(N,) from wrist to middle knuckle."""
    return np.linalg.norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], axis=-1)


def _rooted(joints: np.ndarray, root: int) -> np.ndarray:
    return joints - joints[:, root : root + 1]
