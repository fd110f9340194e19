"""How `mediapipe-3d` learns: its own layers and heads alone, by joints in 3D, from what MediaPipe's frozen layers make of a crop.

Pixels, presence and handedness are MediaPipe's and never change, so there are no losses on them, and there are no maps. In
place of S2DHand's attention, the teacher's heat, stands its doubt: a joint's share of the loss on what both views agree on falls
with the error that the teacher expects of it, as labels' does with theirs. The expected error itself does not learn: labels are
no measure of it, and taught by them it ranked errors no better. What the frozen layers give is computed once for each crop.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adapt.core.geometry_labels import STUDENT_ERROR
from adapt.core.losses import DELTA, LOCATION, Loss
from adapt.core.synthetic_losses import DrawnLoss
from adapt.core.targets import GeometryLabelBatch, Recipe, TrainedPart, ViewPredictions, delta_target, location_target
from hand.joints import JOINTS
from hand.synth.crops import SyntheticCrops
from hand.synth.turn import Turn
from runtime.networks.mediapipe_3d import MediaPipe3D, Output3D
from runtime.networks.network import HandNetwork

_HEADS = ("own_hidden", "correction")
_PARTS: dict[TrainedPart, tuple[str, ...]] = {"layers": ("own_trunk", *_HEADS), "heads": _HEADS}


@dataclass(frozen=True, slots=True)
class LandmarkTargets:
    """Targets of one view's crops, in the axes of the network's predictions."""

    location: Tensor
    """(N, 21, 3) unit hands."""
    delta: Tensor
    """(N, 21, 3) unit bone vectors; the wrist's is zero."""
    weight: Tensor
    """(N, 21) of each joint in the loss, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class LandmarkLearner:
    """A `Learner`."""

    keeps_inputs: ClassVar[bool] = True
    recipe: Recipe

    def trained(self, network: HandNetwork) -> list[nn.Parameter]:
        inside = _inside(network)
        return [parameter for name in _PARTS[self.recipe.part] for parameter in inside.get_submodule(name).parameters()]

    def inputs(self, network: HandNetwork, images: Tensor) -> Tensor:
        inside = _inside(network)
        pictures = inside.normalise(images).contiguous(memory_format=torch.channels_last)
        return inside.features(pictures) if self.recipe.part == "heads" else inside.fixed(pictures)

    def hands(self, network: HandNetwork, inputs: Tensor) -> Any:
        return _inside(network).hands(self._read(network, inputs), network.crop_size)

    def see(self, network: HandNetwork, inputs: Tensor) -> ViewPredictions:
        output = self._read(network, inputs)
        hands = _inside(network).hands(output, network.crop_size)
        return ViewPredictions(hands.joints, hands.confidence, output.log_error[:, :JOINTS])

    def agreed_targets(
        self, network: HandNetwork, joints: Tensor, visible: Tensor, seen: ViewPredictions, turn: Turn | None
    ) -> LandmarkTargets:
        """Weighed by the teacher's doubt."""
        doubt = 1 / (1 + (seen.guide.exp() / STUDENT_ERROR) ** 2)
        return self._targets(network, joints, doubt, seen, turn)

    def geometry_targets(
        self, network: HandNetwork, joints: Tensor, label: GeometryLabelBatch, seen: ViewPredictions, turn: Turn | None
    ) -> LandmarkTargets:
        return self._targets(network, joints, label.weight, seen, turn)

    def loss(self, network: HandNetwork, inputs: Tensor, targets: list[Any]) -> Loss:
        output = self._read(network, inputs)
        losses = [_loss(output, each) for each in targets]
        return Loss(*(sum(part) / len(losses) for part in zip(*losses, strict=True)))  # pyright: ignore[reportArgumentType]

    def drawn_loss(self, network: HandNetwork, drawn: SyntheticCrops, inputs: Tensor | None) -> DrawnLoss:
        output = self._read(network, self.inputs(network, drawn.images) if inputs is None else inputs)
        counts = (drawn.present & ~drawn.mirrored)[:, None] * drawn.weight
        joints = ((output.joints - drawn.joints).norm(dim=-1) * counts).mean()
        delta = ((delta_target(output.joints) - delta_target(drawn.joints)).norm(dim=-1) * counts).mean()
        return DrawnLoss(LOCATION * joints + DELTA * delta, joints, joints.new_zeros(()))

    def _read(self, network: HandNetwork, inputs: Tensor) -> Output3D:
        inside = _inside(network)
        # Of either kind, whoever kept them: all networks of a run are read from one set.
        return inside.read(inputs if inputs.shape[1] == 2 * inside.feature_count else inside.features_of(inputs))

    def _targets(
        self, network: HandNetwork, joints: Tensor, weight: Tensor, seen: ViewPredictions, turn: Turn | None
    ) -> LandmarkTargets:
        joints = joints if turn is None else turn.vectors(joints)
        location = location_target(joints, _inside(network).root)
        return LandmarkTargets(location, delta_target(joints), weight)


def _loss(output: Output3D, targets: LandmarkTargets) -> Loss:
    """Distances of joints and of bone directions."""
    location = ((output.joints - targets.location).norm(dim=-1) * targets.weight).mean()
    delta = ((delta_target(output.joints) - targets.delta).norm(dim=-1) * targets.weight).mean()
    return Loss(LOCATION * location + DELTA * delta, location.new_zeros(()), delta, location)


def _inside(network: HandNetwork) -> MediaPipe3D:
    assert isinstance(network.network, MediaPipe3D)
    return network.network
