"""Pseudo-labels of the momentum network's two views (S2DHand), and the targets of a network's maps that follow from labels."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from adapt.core.batch_merge import merge_batch
from adapt.core.refinement import refine
from capture.views import PerView, View
from hand.joints import MIDDLE_MCP, PARENTS, WRIST
from runtime.fusion.merge import DEFAULT_BETA, MergeRule

LabelSource = Literal["s2dhand", "geometry", "both"]
"""Where pseudo-labels come from: agreement of the two views, triangulation of both, or both sources."""


TrainedPart = Literal["layers", "heads"]
"""What of `mediapipe-3d` learns: its own last layers and heads, or the heads alone."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to adapt; `FAITHFUL` is the published way."""

    merge: MergeRule = "softmax"
    beta: float = DEFAULT_BETA
    """How strongly `softmax` prefers the view with the higher confidence."""
    alpha: float = 0.7
    """Share of the merged hand in the pseudo-labels; the rest is refined."""
    eta: float = 0.999
    """Share of the old rotation in the new."""
    rate: float = 5e-4
    """Adam's learning rate."""
    memory: float = 0.99
    """Most of the old weights' share in the teacher's new ones, which are the mean of about the last 1 / (1 − memory) steps."""
    least_confidence: float = 0.1
    """Confidence below which a joint counts as hidden in that view; there are no annotations to say so."""
    pixel_term: bool = True
    """Whether DetNet-lite has a loss on the pixels that it reads from its heat, besides the loss on the heat itself."""
    part: TrainedPart = "layers"
    """Of a network that stands on a fetched model; others learn as a whole."""
    published_rotation: bool = False
    """Whether visible joints count alike, and a batch's rotation is its pseudo-labels' mean quaternion.

    Pseudo-labels were made with the rotation in use and give it back, save for how the network's roots scatter; so ours is
    taken from the predictions.
    """

    @classmethod
    def of(cls, labels: LabelSource) -> "Recipe":
        """Of a label method."""
        return LABEL_METHODS[labels].recipe

    def joint_weight(self, confidence: PerView[Tensor], visible: PerView[Tensor]) -> Tensor:
        """(N, 21) weight of each joint in a pair's rotation; 0 where it is hidden in a view."""
        both = (visible.left & visible.right).to(confidence.left)
        return both if self.published_rotation else both * (confidence.left * confidence.right).sqrt()


@dataclass(frozen=True, slots=True)
class LabelMethod:
    """Which pseudo-labels a label source trains on, and how."""

    agreement: bool
    """Whether it trains on what both views agree on."""
    geometry: bool
    """Whether it trains on joints triangulated by the geometry."""
    rehearse: float
    """Share of synthetic hands in offline training, unless another is asked for."""
    recipe: Recipe


LABEL_METHODS: dict[LabelSource, LabelMethod] = {
    "s2dhand": LabelMethod(agreement=True, geometry=False, rehearse=0.0, recipe=Recipe(memory=0.99)),
    "geometry": LabelMethod(agreement=False, geometry=True, rehearse=0.33, recipe=Recipe(memory=0.9)),
    "both": LabelMethod(agreement=True, geometry=True, rehearse=0.33, recipe=Recipe(memory=0.9)),
}
"""With labels by geometry, a teacher that averages ten steps gets further in the same time; labels that are the teacher's own are
more stable with a longer memory."""
FAITHFUL = Recipe(merge="max", beta=1.0, pixel_term=False, published_rotation=True)
"""As published: joints from the view with the higher confidence alone, the rotation from pseudo-labels."""


@dataclass(frozen=True, slots=True)
class ViewPredictions:
    """A teacher's predictions for N crops of one view."""

    joints: Tensor
    """(N, 21, 3) in the network's axes, near its own root and of its own scale."""
    confidence: Tensor
    """(N, 21) in [0, 1]."""
    guide: Any
    """Which joints targets are to follow, as its kind of network tells it: `Maps`, or logarithms of expected errors (N, 21)."""


@dataclass(frozen=True, slots=True)
class TwoViewPredictions:
    """A network's predictions for N hands in both views."""

    joints: PerView[Tensor]
    """(N, 21, 3) in each camera's axes, near its own root and of its own scale."""
    confidence: PerView[Tensor]
    """(N, 21) in [0, 1]."""
    visible: PerView[Tensor]
    """(N, 21) bool."""


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Pseudo-labels of both views: merged and refined hands."""

    joints: PerView[Tensor]
    """(N, 21, 3) in each camera's axes, with the root and the scale of this view's prediction."""
    rooted: PerView[Tensor]
    """(N, 21, 3) predictions from the root joint, with the left view's 0→9 length in both."""
    weight: Tensor
    """(N, 21) of each joint in the rotation."""
    apart: Tensor
    """() mean distance, in hands, between the views' joints that both see; not a number where there is none."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of one view's crops, in the axes of the network's predictions."""

    location: Tensor
    """(N, 21, 3) from the root joint, 0→9 length 1."""
    delta: Tensor
    """(N, 21, 3) unit bone vectors; the wrist's is zero."""
    heat: Tensor
    """(N, 21, M, M) the teacher's."""
    visible: Tensor
    """(N, 21) bool."""
    log_error: Tensor | None = None
    """(N, 21) the teacher's logarithm of the expected joint error, where it predicts that."""
    weight: Tensor | None = None
    """(N, 21) of each joint in the loss, in [0, 1]; None for all alike."""
    pixels: Tensor | None = None
    """(N, 21, 2) in the crop, where there is a loss on them besides the heat's; DetNet's pixels have no gradient."""


@dataclass(frozen=True, slots=True)
class GeometryLabelBatch:
    """Pseudo-labels by geometry of one view's N crops (`adapt.core.geometry_labels`)."""

    joints: Tensor
    """(N, 21, 3) unit hands, that camera's axes."""
    pixels: Tensor
    """(N, 21, 2) in the crop."""
    weight: Tensor
    """(N, 21) of each joint in the loss, in [0, 1]."""

    def rows(self, rows: Tensor) -> "GeometryLabelBatch":
        """Those numbered `rows` (M,)."""
        return GeometryLabelBatch(self.joints[rows], self.pixels[rows], self.weight[rows])

    def to(self, device: torch.device) -> "GeometryLabelBatch":
        return GeometryLabelBatch(self.joints.to(device), self.pixels.to(device), self.weight.to(device))


def pseudo_labels(predictions: TwoViewPredictions, R_right_from_left: Tensor, root: int, recipe: Recipe) -> PseudoLabels:
    """α · merged + (1 − α) · refined, put back into each view's own root and scale."""
    roots = predictions.joints.map(lambda x: x[:, root : root + 1])
    lengths = predictions.joints.map(_length)
    scale = lengths.left / lengths.right.clamp_min(1e-6)
    rooted = PerView(predictions.joints.left - roots.left, (predictions.joints.right - roots.right) * scale)
    weight = recipe.joint_weight(predictions.confidence, predictions.visible)
    merged = merge_batch(rooted, predictions.confidence, predictions.visible, R_right_from_left, recipe.merge, recipe.beta)
    refined = refine(rooted, R_right_from_left, weight)

    def mixed(view: View) -> Tensor:
        return recipe.alpha * merged[view] + (1 - recipe.alpha) * refined[view]

    joints = PerView(mixed("left") + roots.left, mixed("right") / scale + roots.right)
    distance = (rooted.left @ R_right_from_left.mT - rooted.right).norm(dim=-1) / lengths.left[..., 0].clamp_min(1e-6)
    both = (predictions.visible.left & predictions.visible.right).to(distance)
    return PseudoLabels(joints, rooted, weight, (distance * both).sum() / both.sum())


def location_target(joints: Tensor, root: int) -> Tensor:
    """(N, 21, 3) joints (N, 21, 3) from the root joint, 0→9 length 1."""
    return (joints - joints[:, root : root + 1]) / _length(joints).clamp_min(1e-6)


def delta_target(joints: Tensor) -> Tensor:
    """(N, 21, 3) unit vectors to joints (N, 21, 3) from their parents; the wrist's is zero."""
    return F.normalize(joints - joints[:, [max(parent, 0) for parent in PARENTS]], dim=-1, eps=1e-9)


def heat_target(pixels: Tensor, cells: int, size: int, sigma: float) -> Tensor:
    """(N, 21, cells, cells) Gaussians around pixels (N, 21, 2) of crops of `size` px, of `sigma` cells, with a peak of 1."""
    place = (pixels + 0.5) * (cells / size) - 0.5
    centre = torch.arange(cells, device=pixels.device, dtype=pixels.dtype)
    x = torch.exp(-((place[..., :1] - centre) ** 2) / (2 * sigma**2))
    y = torch.exp(-((place[..., 1:] - centre) ** 2) / (2 * sigma**2))
    return y[..., :, None] * x[..., None, :]


def _length(joints: Tensor) -> Tensor:
    """(N, 1, 1) distance from the wrist to the middle MCP."""
    return torch.linalg.vector_norm(joints[:, MIDDLE_MCP] - joints[:, WRIST], dim=-1)[:, None, None]
