"""Adaptation losses: distances between a student's maps and the targets from pseudo-labels, one loss for each architecture."""

from collections.abc import Sequence
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from adapt.core.targets import Targets
from hand.joints import JOINTS
from runtime.networks.detnet_lite import DetNetLite, mean_pixels, read, read_scalar
from runtime.networks.network import MapNetwork, Maps, normalise

HEAT, PIXEL, LOCATION, DELTA, LOG_ERROR = 0.2, 8.0, 3.0, 0.3, 0.1
"""Weights of DetNet-lite's losses; pixels count in shares of the crop's side."""


class Loss(NamedTuple):
    """Loss of a batch, and its parts before their weights, each ()."""

    total: Tensor
    heat: Tensor
    delta: Tensor
    location: Tensor


class LitePredictions(NamedTuple):
    """DetNet-lite's predictions for N crops, read from its maps once for all targets."""

    log_heat: Tensor
    """(N, 21, M, M)."""
    pixels: Tensor
    """(N, 21, 2) in the crop."""
    location: Tensor
    """(N, 21, 3)."""
    delta: Tensor
    """(N, 21, 3)."""
    log_error: Tensor
    """(N, 21)."""
    side: int
    """Of the crop, px."""


def adaptation_loss(network: MapNetwork, images: Tensor, all_targets: Sequence[Targets]) -> Loss:
    """Of one view's crops (N, S, S, 3) uint8, with gradients for `network`: the mean over `all_targets`.

    The network runs once, however many targets there are.
    """
    losses = losses_of(network, normalise(images).contiguous(memory_format=torch.channels_last), all_targets)
    return Loss(*(sum(part) / len(losses) for part in zip(*losses, strict=True)))  # pyright: ignore[reportArgumentType]


@singledispatch
def losses_of(network: MapNetwork, inputs: Tensor, all_targets: Sequence[Targets]) -> list[Loss]:
    """One for each of the targets, from one run on inputs (N, 3, S, S). Architectures with a loss of their own register it."""
    maps = network(inputs)
    return [published_loss(maps, targets) for targets in all_targets]


@losses_of.register(DetNetLite)
def _lite_losses(network: DetNetLite, inputs: Tensor, all_targets: Sequence[Targets]) -> list[Loss]:
    predictions = lite_predictions(network, inputs)
    return [lite_adaptation_loss(predictions, targets) for targets in all_targets]


def published_loss(maps: Maps, targets: Targets) -> Loss:
    """S2DHand's: 100 · ½ Σ_j MSE(heat_j) + ‖(δ − δ̂) ⊙ h‖ / N + 10 · ‖(l − l̂) ⊙ h‖ / N, with h the teacher's heat.

    Hidden joints have no target for their heat, but have one for their vectors.
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
    """The network's predictions for inputs (N, 3, S, S)."""
    logits, delta, location, log_error = network.raw(inputs)
    log_heat = logits.flatten(2).log_softmax(-1).view_as(logits)
    heat, size = log_heat.exp(), inputs.shape[-1]
    return LitePredictions(
        log_heat, mean_pixels(heat, size), read(location, heat), read(delta, heat), read_scalar(log_error, heat), size
    )


def lite_adaptation_loss(predictions: LitePredictions, targets: Targets) -> Loss:
    """The same for maps that are read under the whole heat, as in DetNet-lite's training: cross-entropy of the heat, distances of
    joints and bone directions, and of pixels where they are known. The predicted error is to stay the teacher's: agreement of
    two views is no measure of it.
    """
    counts = _counts(targets)
    heat = (-(targets.heat * predictions.log_heat).sum((2, 3)) * counts).mean()
    weight = targets.heat.new_ones(()) if targets.weight is None else targets.weight
    location = ((predictions.location - targets.location).norm(dim=-1) * weight).mean()
    delta = ((predictions.delta - targets.delta).norm(dim=-1) * weight).mean()
    assert targets.log_error is not None, "DetNet-lite's teacher predicts its error"
    log_error = ((predictions.log_error - targets.log_error) ** 2).mean()
    total = HEAT * heat + LOCATION * location + DELTA * delta + LOG_ERROR * log_error
    if targets.pixels is not None:
        total = total + PIXEL / predictions.side * ((predictions.pixels - targets.pixels).norm(dim=-1) * counts).mean()
    return Loss(total, heat, delta, location)


def _counts(targets: Targets) -> Tensor:
    """(N, 21) weight of each joint's heat; 0 for hidden joints."""
    visible = targets.visible.to(targets.heat)
    return visible if targets.weight is None else visible * targets.weight
