"""Supervised losses on synthetic hands, one for each architecture, for training and for rehearsal."""

from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor

from adapt.core.losses import DELTA, HEAT, LOCATION, LOG_ERROR, PIXEL
from adapt.core.targets import delta_target, heat_target
from hand.joints import JOINTS
from hand.synth.crops import SyntheticCrops
from runtime.networks.detnet import DetNet
from runtime.networks.detnet_lite import DetNetLite, mean_pixels, read, read_scalar
from runtime.networks.network import MapNetwork, Maps, normalise, peak_pixels, peaks, read_at


class DrawnLoss(NamedTuple):
    """A batch's loss and its errors, each ()."""

    total: Tensor
    joints: Tensor
    """Mean distance, hands."""
    pixels: Tensor
    """Mean distance, px of the crop."""


@singledispatch
def drawn_loss(network: MapNetwork, drawn: SyntheticCrops, size: int) -> DrawnLoss:
    """Of crops of `size` px, with gradients for `network`. Architectures with a loss of their own register it."""
    return detnet_drawn_loss(network(_inputs(drawn)), drawn, size)


@drawn_loss.register(DetNetLite)
def _of_lite(network: DetNetLite, drawn: SyntheticCrops, size: int) -> DrawnLoss:
    return lite_drawn_loss(network.raw(_inputs(drawn)), drawn, size)


def _inputs(drawn: SyntheticCrops) -> Tensor:
    return normalise(drawn.images).contiguous(memory_format=torch.channels_last)


def lite_drawn_loss(maps: tuple[Tensor, Tensor, Tensor, Tensor], drawn: SyntheticCrops, size: int) -> DrawnLoss:
    """DetNet-lite: cross-entropy of the heat, distances of the joints in 2D and 3D, bone directions, and the predicted error.

    `maps`: heat logits, delta, location and predicted error. Joints count by their weight.
    """
    logits, delta, location, log_error = maps
    cells = logits.shape[-1]
    log_heat = logits.flatten(2).log_softmax(-1)
    heat = log_heat.exp().view_as(logits)
    # Of left hands only the predicted error is trained: their heat may look like a right hand's.
    right = (~drawn.mirrored)[:, None].float()
    present = drawn.present[:, None].float() * right
    inside = ((drawn.pixels > -0.5) & (drawn.pixels < size - 0.5)).all(-1) * present
    target = heat_target(drawn.pixels, cells, size, DetNetLite.heat_sigma).flatten(2)
    target = torch.where((present * inside)[..., None] > 0, target / target.sum(-1, keepdim=True).clamp_min(1e-6), 1 / cells**2)
    # Joints outside of the crop have no cell; pictures without a hand are to have no opinion.
    known = torch.where(present > 0, inside, torch.ones_like(inside)) * right
    heat_loss = (-(target * log_heat).sum(-1) * known * drawn.weight).mean()
    counts = inside * drawn.weight
    off_px = ((mean_pixels(heat, size) - drawn.pixels).norm(dim=-1) * counts).sum() / counts.sum().clamp_min(1)
    distance = (read(location, heat) - drawn.joints).norm(dim=-1)
    counts = present * drawn.weight * drawn.weight_3d
    joint_loss = (distance * counts).mean()
    delta_loss = ((read(delta, heat) - delta_target(drawn.joints)).norm(dim=-1) * counts).mean()
    error = torch.where(present > 0, distance, torch.ones_like(distance)).detach()
    expected = read_scalar(log_error, heat.detach())
    # Where there is no hand, or the other one, that is certain.
    sure = drawn.weight * torch.where(present > 0, drawn.weight_3d, torch.ones_like(drawn.weight_3d))
    error_loss = ((error * torch.exp(-expected) + expected) * sure).mean()
    total = HEAT * heat_loss + PIXEL * off_px / size + LOCATION * joint_loss + DELTA * delta_loss + LOG_ERROR * error_loss
    return DrawnLoss(total, joint_loss, off_px)


def detnet_drawn_loss(maps: Maps, drawn: SyntheticCrops, size: int) -> DrawnLoss:
    """DetNet: the published losses (heat MSE, delta and location around the truth), the heat's few bright cells weighed up."""
    heat, delta, location, _ = maps
    cells = heat.shape[-1]
    present = (drawn.present & ~drawn.mirrored)[:, None].float()
    target = heat_target(drawn.pixels, cells, size, DetNet.heat_sigma) * present[..., None, None]
    # Most cells are empty: unweighed, the answer zero is a long-lived valley.
    heat_loss = ((heat - target) ** 2 * (1 + 30 * target) * drawn.weight[..., None, None]).mean()
    share = (target / target.sum((2, 3), keepdim=True).clamp_min(1e-6)).flatten(2) * (drawn.weight * drawn.weight_3d)[..., None]

    def at_truth(maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(1, (JOINTS, 3))

    location_error = (at_truth(location) - drawn.joints[..., None]).norm(dim=2)
    delta_error = (at_truth(delta) - delta_target(drawn.joints)[..., None]).norm(dim=2)
    joint_loss, delta_loss = (share * location_error).sum(-1).mean(), (share * delta_error).sum(-1).mean()
    with torch.no_grad():
        index, _ = peaks(heat)
        off_px = ((peak_pixels(heat, index, size) - drawn.pixels).norm(dim=-1) * present).mean()
        distance = ((read_at(location, index) - drawn.joints).norm(dim=-1) * present).mean()
    return DrawnLoss(30 * heat_loss + 3 * joint_loss + 0.3 * delta_loss, distance, off_px)
