"""Scores of a network on a data set's test hands: Mono-M, Dual-M and the rotation error. The truth is read here alone.

Scored is all that follows from a box: the estimate of the hand's roll, and the joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from adapt.core.batch_merge import merge_batch
from adapt.core.metrics import PairScores, score_pairs
from adapt.datasets.assembly_hands import HandPairs
from adapt.datasets.predictions import DatasetPredictions
from capture.views import PerView, View
from hand.rotations import angle_deg
from runtime.fusion.merge import DEFAULT_BETA, MergeRule


@dataclass(frozen=True, slots=True)
class TrueHands:
    """True joints of N test hands."""

    numbers: tuple[int, ...]
    """Of the pairs in the data set."""
    truth_mm: PerView[np.ndarray]
    """(N, 21, 3) each camera's axes."""
    valid: PerView[np.ndarray]
    """(N, 21) bool."""
    R_right_from_left: np.ndarray
    """(N, 3, 3) true rotation at each moment."""

    @classmethod
    def of(cls, pairs: HandPairs, numbers: Sequence[int]) -> "TrueHands":
        true = [pairs[number] for number in numbers]

        def stacked(view: View, name: str) -> np.ndarray:
            return np.stack([getattr(one.hands[view], name) for one in true])

        return cls(
            tuple(numbers),
            PerView.of(lambda view: stacked(view, "joints_mm")),
            PerView.of(lambda view: stacked(view, "valid")),
            np.stack([one.R_right_from_left for one in true]),
        )

    def scores(
        self, predictions: Sequence[DatasetPredictions], R_right_from_left: np.ndarray, root: int, rule: MergeRule = "softmax"
    ) -> PairScores:  # fmt: skip
        """Mono-M and Dual-M of what a network saw of these hands, merged through a rotation (3, 3).

        `mean`, the published evaluation's rule, averages what the annotation calls valid.
        """
        assert tuple(one.number for one in predictions) == self.numbers

        def stacked(view: View, name: str) -> torch.Tensor:
            return torch.from_numpy(np.stack([getattr(one.hands[view], name) for one in predictions]).astype(float))

        joints, confidence = (PerView.of(lambda view, name=name: stacked(view, name)) for name in ("joints", "confidence"))
        visible = (
            self.valid.map(torch.from_numpy) if rule == "mean" else confidence.map(lambda c: torch.ones_like(c, dtype=torch.bool))
        )
        rotation = torch.from_numpy(np.asarray(R_right_from_left, float))
        merged = merge_batch(joints, confidence, visible, rotation, rule, DEFAULT_BETA).left.numpy()
        return score_pairs(joints.map(lambda x: x.numpy()), merged, rotation.numpy(), self.truth_mm, self.valid, root)

    def off_deg(self, R_right_from_left: np.ndarray) -> float:
        """Median angle between a rotation (3, 3) and the true ones."""
        return float(np.median(angle_deg(R_right_from_left, self.R_right_from_left)))
