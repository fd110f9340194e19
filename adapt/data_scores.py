"""How far off a network is on a data set's test hands: Mono-M and Dual-M, and how its own hands say that the cameras are turned.

Crops are cut once, where the network that is to be adapted saw the hands: every epoch is judged by the same pictures. The truth
is read here and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapt.assembly_hands import HandPairs
from adapt.data_looks import LookedAt, crops_of
from adapt.merging import merge
from adapt.metrics import PairScores, score_pairs
from adapt.pairs import CropPairs
from adapt.rotation import initial_rotation
from adapt.targets import Recipe
from capture.views import PerView, View
from hand.rotations import angle_deg
from runtime.merge import DEFAULT_BETA, MergeRule
from runtime.network import HandNetwork
from runtime.weights import Manifest

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network says of N hand pairs."""

    joints: PerView[Tensor]
    """(N, 21, 3) unit hands, each camera's axes."""
    confidence: PerView[Tensor]
    """(N, 21)."""

    def rotation(self) -> np.ndarray:
        """(3, 3) R_right_from_left that the two views' own hands tell."""
        recipe = Recipe()
        visible = self.confidence.map(lambda c: c >= recipe.least_confidence)
        return initial_rotation(self.joints, recipe.joint_weight(self.confidence, visible))[0].numpy()


@torch.inference_mode()
def answers(network: HandNetwork, manifest: Manifest, pairs: CropPairs) -> Answers:
    """Of all pairs, in batches."""
    device = next(network.parameters()).device
    frame_from_crop = pairs.frame_from_crop(manifest.axes)

    def of(view: View) -> tuple[Tensor, Tensor]:
        told = [network(part.to(device)) for part in pairs.images[view].split(_AT_ONCE)]
        joints, confidence = (
            torch.cat([getattr(each, name).double().cpu() for each in told]) for name in ("joints", "confidence")
        )
        return joints @ frame_from_crop[view].double().mT, confidence

    views = PerView.of(of)
    return Answers(views.map(lambda one: one[0]), views.map(lambda one: one[1]))


@dataclass(frozen=True, slots=True)
class TrueHands:
    """Hands to judge by."""

    pairs: CropPairs
    truth_mm: PerView[np.ndarray]
    """(N, 21, 3) each camera's axes."""
    valid: PerView[np.ndarray]
    """(N, 21) bool."""
    R_right_from_left: np.ndarray
    """(N, 3, 3) true rotation at each moment."""

    @classmethod
    def of(cls, looked: Sequence[LookedAt], pairs: HandPairs) -> "TrueHands":
        true = [pairs[one.number] for one in looked]

        def stacked(view: View, name: str) -> np.ndarray:
            return np.stack([getattr(one.hands[view], name) for one in true])

        return cls(
            crops_of(looked),
            PerView.of(lambda view: stacked(view, "joints_mm")),
            PerView.of(lambda view: stacked(view, "valid")),
            np.stack([one.R_right_from_left for one in true]),
        )

    def scores(
        self, told: Answers, R_right_from_left: np.ndarray, root: int, rule: MergeRule = "softmax"
    ) -> PairScores:  # fmt: skip
        """Mono-M and Dual-M of what a network says, merged through a rotation (3, 3).

        `mean`, the published evaluation's rule, averages what the annotation calls valid.
        """
        sure = told.confidence
        visible = self.valid.map(torch.from_numpy) if rule == "mean" else sure.map(lambda c: torch.ones_like(c, dtype=torch.bool))
        rotation = torch.from_numpy(np.asarray(R_right_from_left, float))
        merged = merge(told.joints, sure, visible, rotation, rule, DEFAULT_BETA).left.numpy()
        return score_pairs(told.joints.map(lambda x: x.numpy()), merged, rotation.numpy(), self.truth_mm, self.valid, root)

    def off_deg(self, R_right_from_left: np.ndarray) -> float:
        """Median angle between a rotation (3, 3) and the true ones."""
        return float(np.median(angle_deg(R_right_from_left, self.R_right_from_left)))
