"""How far a student's maps are from what its teacher's pseudo-labels ask of them: one loss for each architecture."""

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from adapt.core.targets import Targets
from hand.joints import JOINTS
from runtime.networks.detnet_lite import DetNetLite, mean_pixels, read, read_scalar
from runtime.networks.network import MapNetwork, Maps, normalise

HEAT, PIXEL, LOCATION, DELTA, DOUBT = 0.2, 8.0, 3.0, 0.3, 0.1
"""Weights of DetNet-lite's losses; pixels count in shares of the crop's side."""


class Loss(NamedTuple):
    """A batch's loss and what it is made of, each () and before its weight."""

    total: Tensor
    heat: Tensor
    delta: Tensor
    location: Tensor


class LitePredictions(NamedTuple):
    """What DetNet-lite says of N crops, read from its maps once for everything that is asked of it."""

    log_heat: Tensor
    """(N, 21, M, M)."""
    pixels: Tensor
    """(N, 21, 2) in the crop."""
    location: Tensor
    """(N, 21, 3)."""
    delta: Tensor
    """(N, 21, 3)."""
    doubt: Tensor
    """(N, 21)."""
    side: int
    """Of the crop, px."""


def adaptation_loss(network: MapNetwork, images: Tensor, asked: Sequence[Targets]) -> Loss:
    """Of one view's crops (N, S, S, 3) uint8, with gradients for `network`: the mean over all that is asked of them.

    However much is asked, the network looks once.
    """
    losses = losses_of(network, normalise(images).contiguous(memory_format=torch.channels_last), asked)
    return Loss(*(sum(part) / len(losses) for part in zip(*losses, strict=True)))  # pyright: ignore[reportArgumentType]


@singledispatch
def losses_of(network: MapNetwork, inputs: Tensor, asked: Sequence[Targets]) -> list[Loss]:
    """One for each of the targets, from one run on inputs (N, 3, S, S). Architectures with a loss of their own register it."""
    maps = network(inputs)
    return [published_loss(maps, targets) for targets in asked]


@losses_of.register(DetNetLite)
def _lite_losses(network: DetNetLite, inputs: Tensor, asked: Sequence[Targets]) -> list[Loss]:
    predictions = lite_predictions(network, inputs)
    return [lite_adaptation_loss(predictions, targets) for targets in asked]


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


def lite_predictions(network: DetNetLite, inputs: Tensor) -> LitePredictions:
    """What the network says of inputs (N, 3, S, S)."""
    logits, delta, location, doubt = network.raw(inputs)
    log_heat = logits.flatten(2).log_softmax(-1).view_as(logits)
    heat, size = log_heat.exp(), inputs.shape[-1]
    return LitePredictions(
        log_heat, mean_pixels(heat, size), read(location, heat), read(delta, heat), read_scalar(doubt, heat), size
    )


def lite_adaptation_loss(answer: LitePredictions, targets: Targets) -> Loss:
    """The same for maps that are read under the whole heat, as DetNet-lite learnt them: cross-entropy of the heat, distances of
    joints and bone directions, and of pixels where they are known. The doubt is to stay as the teacher's: what two views agree on
    is no measure of its error.
    """
    counts = _counts(targets)
    heat = (-(targets.heat * answer.log_heat).sum((2, 3)) * counts).mean()
    weight = targets.heat.new_ones(()) if targets.weight is None else targets.weight
    location = ((answer.location - targets.location).norm(dim=-1) * weight).mean()
    delta = ((answer.delta - targets.delta).norm(dim=-1) * weight).mean()
    assert targets.doubt is not None, "DetNet-lite's teacher says how far off it may be"
    doubt = ((answer.doubt - targets.doubt) ** 2).mean()
    total = HEAT * heat + LOCATION * location + DELTA * delta + DOUBT * doubt
    if targets.pixels is not None:
        total = total + PIXEL / answer.side * ((answer.pixels - targets.pixels).norm(dim=-1) * counts).mean()
    return Loss(total, heat, delta, location)


def _counts(targets: Targets) -> Tensor:
    """(N, 21) how much each joint's heat counts: hidden ones' not at all."""
    visible = targets.visible.to(targets.heat)
    return visible if targets.weight is None else visible * targets.weight
