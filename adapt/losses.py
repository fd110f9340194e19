"""How far a student's maps are from what its teacher's pseudo-labels ask of them: one loss for each architecture."""

from typing import NamedTuple

import torch
from torch import Tensor

from adapt.targets import Targets
from hand.joints import JOINTS
from runtime.detnet_lite import DetNetLite, read, read_scalar
from runtime.network import MapNetwork, Maps, normalise


class Loss(NamedTuple):
    """A batch's loss and what it is made of, each () and before its weight."""

    total: Tensor
    heat: Tensor
    delta: Tensor
    location: Tensor


def adaptation_loss(network: MapNetwork, images: Tensor, targets: Targets) -> Loss:
    """Of one view's crops (N, S, S, 3) uint8, with gradients for `network`."""
    if isinstance(network, DetNetLite):
        return lite_loss(network, images, targets)
    return published_loss(network(normalise(images).contiguous(memory_format=torch.channels_last)), targets)


def published_loss(maps: Maps, targets: Targets) -> Loss:
    """S2DHand's: 100 · ½ Σ_j MSE(heat_j) + ‖(δ − δ̂) ⊙ h‖ / N + 10 · ‖(l − l̂) ⊙ h‖ / N, with h the teacher's heat.

    Hidden joints' heat is not asked for, their vectors are.
    """
    counts = _counts(targets)
    heat = 0.5 * (((maps.heat - targets.heat) ** 2) * counts[..., None, None]).mean((0, 2, 3)).sum()

    near = targets.heat if targets.weight is None else targets.heat * targets.weight[..., None, None]

    def off(vectors: Tensor, target: Tensor) -> Tensor:
        difference = vectors.unflatten(1, (JOINTS, 3)) - target[..., None, None]
        return torch.linalg.vector_norm(difference * near[:, :, None]) / len(target)

    delta, location = off(maps.delta, targets.delta), off(maps.location, targets.location)
    return Loss(100 * heat + delta + 10 * location, heat, delta, location)


def lite_loss(network: DetNetLite, images: Tensor, targets: Targets) -> Loss:
    """The same for maps that are read under the whole heat, as DetNet-lite learnt them: cross-entropy of the heat, distances of
    joints and bone directions. The doubt is to stay as the teacher's: what two views agree on is no measure of its error.
    """
    logits, delta, location, doubt = network.raw(normalise(images).contiguous(memory_format=torch.channels_last))
    log_heat = logits.flatten(2).log_softmax(-1)
    heat = log_heat.exp().view_as(logits)
    heat_loss = (-(targets.heat.flatten(2) * log_heat).sum(-1) * _counts(targets)).mean()
    weight = targets.heat.new_ones(()) if targets.weight is None else targets.weight
    location_loss = ((read(location, heat) - targets.location).norm(dim=-1) * weight).mean()
    delta_loss = ((read(delta, heat) - targets.delta).norm(dim=-1) * weight).mean()
    assert targets.doubt is not None, "DetNet-lite's teacher says how far off it may be"
    doubt_loss = ((read_scalar(doubt, heat) - targets.doubt) ** 2).mean()
    total = 0.2 * heat_loss + 3.0 * location_loss + 0.3 * delta_loss + 0.1 * doubt_loss
    return Loss(total, heat_loss, delta_loss, location_loss)


def _counts(targets: Targets) -> Tensor:
    """(N, 21) how much each joint's heat counts: hidden ones' not at all."""
    visible = targets.visible.to(targets.heat)
    return visible if targets.weight is None else visible * targets.weight
