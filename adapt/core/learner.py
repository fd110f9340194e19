"""What adaptation needs of a kind of network: a teacher's predictions, what of the network learns, and its losses.

Each kind is an entry of `LEARNERS`. A learner holds no network: teacher, student and every network that they are compared with
share it.
"""

from dataclasses import replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from adapt.core.crop_pairs import CropPairs
from adapt.core.landmark_learner import LandmarkLearner
from adapt.core.losses import Loss
from adapt.core.map_learner import MapLearner
from adapt.core.rehearsal import Rehearsal
from adapt.core.synthetic_losses import DrawnLoss
from adapt.core.targets import GeometryLabelBatch, Recipe, ViewPredictions
from hand.errors import UserError
from hand.synth.crops import SyntheticCrops
from hand.synth.turn import Turn
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.network import CropNetwork, HandNetwork, MapNetwork

_RECIPE = Recipe()
_BATCH = 32
"""Crops whose inputs are computed at once."""


class Learner(Protocol):
    """How one kind of network learns. `Targets` of one kind are no other kind's business."""

    keeps_inputs: ClassVar[bool]
    """Whether `inputs` cost more than a step, and so are computed once for each crop."""

    def trained(self, network: HandNetwork) -> list[nn.Parameter]:
        """The parameters that learn; all others stay as they are, to the last bit."""
        ...

    def inputs(self, network: HandNetwork, images: Tensor) -> Tensor:
        """What the part that learns reads of crops (N, S, S, 3) uint8: the same for teacher, student and all candidates."""
        ...

    def hands(self, network: HandNetwork, inputs: Tensor) -> Any:
        """What `network` predicts, as it does for the crops themselves: a named tuple, joints, pixels and confidence first."""
        ...

    def see(self, network: HandNetwork, inputs: Tensor) -> ViewPredictions:
        """The teacher's predictions."""
        ...

    def agreed_targets(
        self, network: HandNetwork, joints: Tensor, visible: Tensor, seen: ViewPredictions, turn: Turn | None
    ) -> Any:
        """Targets of what both views agree on: joints (N, 21, 3) in the network's axes, turned like the crops by `turn`."""
        ...

    def geometry_targets(
        self, network: HandNetwork, joints: Tensor, label: GeometryLabelBatch, seen: ViewPredictions, turn: Turn | None
    ) -> Any:
        """Targets of labels by geometry; `joints` as for `agreed_targets`."""
        ...

    def loss(self, network: HandNetwork, inputs: Tensor, targets: list[Any]) -> Loss:
        """Of the student, with gradients: the mean over all targets of its crops."""
        ...

    def drawn_loss(self, network: HandNetwork, drawn: SyntheticCrops, inputs: Tensor | None) -> DrawnLoss:
        """Of synthetic hands, with gradients; `inputs`: theirs, where they are kept."""
        ...


LEARNERS: dict[type[CropNetwork], type[MapLearner] | type[LandmarkLearner]] = {
    MapNetwork: MapLearner,
    MediaPipe3D: LandmarkLearner,
}
"""By the class of the network inside."""


def learner_of(network: HandNetwork, recipe: Recipe = _RECIPE) -> Learner:
    """How `network` learns. Raises UserError for one that cannot."""
    return learner_class(type(network.network))(recipe)


def learner_class(network: type[CropNetwork]) -> type[MapLearner] | type[LandmarkLearner]:
    """How networks of that class learn. Raises UserError for one that cannot."""
    for kind, learner in LEARNERS.items():
        if issubclass(network, kind):
            return learner
    raise UserError(f"a {network.__name__} has no part that learns: adapt weights of DetNet, DetNet-lite, or mediapipe-3d")


def with_inputs(network: HandNetwork, pairs: CropPairs, recipe: Recipe = _RECIPE) -> CropPairs:
    """The pairs with what the part of `network` that learns reads of them, where that is worth keeping; else as they are."""
    if not learner_of(network).keeps_inputs or pairs.inputs is not None:
        return pairs
    return replace(pairs, inputs=pairs.images.map(lambda images: kept_inputs(network, images, recipe)))


@torch.no_grad()
def kept_inputs(network: HandNetwork, images: Tensor, recipe: Recipe = _RECIPE) -> Tensor:
    """What the part of `network` that learns by `recipe` reads of crops (N, S, S, 3) uint8, where these are."""
    learner, device = learner_of(network, recipe), next(network.parameters()).device
    return torch.cat([learner.inputs(network, part.to(device)).to(images.device) for part in images.split(_BATCH)])


def rehearsal_of(
    network: HandNetwork,
    bank: SyntheticCrops,
    share: float,
    seed: int,
    device: torch.device | str = "cpu",
    *,
    spectra: bool = False,
    recipe: Recipe = _RECIPE,
) -> Rehearsal:
    """Rehearsal for `network`; of a bank's hands whose inputs are kept, pictures are not."""
    keep = learner_of(network).keeps_inputs and not spectra
    read = (lambda images: kept_inputs(network, images, recipe)) if keep else None
    return Rehearsal(bank, share, seed, device, spectra=spectra, read=read)


@torch.no_grad()
def predict(network: HandNetwork, images: Tensor, inputs: Tensor | None, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Joints, pixels and confidence of N crops, on the CPU, `batch` at a time; `inputs`: theirs, where they are kept."""
    learner, device = learner_of(network), next(network.parameters()).device
    if inputs is None:
        outputs = [network(part.to(device)) for part in images.split(batch)]
    else:
        outputs = [learner.hands(network, part.to(device)) for part in inputs.split(batch)]
    joints, pixels, confidence = (torch.cat([each[number].float().cpu() for each in outputs]) for number in range(3))
    return joints, pixels, confidence
