"""What the networks are trained by: one loss for each architecture."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adapt.session import DETNET_SIGMA, LITE_SIGMA
from adapt.targets import delta_target, heat_target
from hand.draw import DrawnCrops
from runtime.detnet_lite import DetNetLite, mean_pixels, read, read_scalar
from runtime.network import MapNetwork, conv, normalise, peak_pixels, peaks, read_at

HAND_MM = 90.0
"""Wrist to middle MCP of the hand that errors are told for."""
SURFACE_WEIGHT = 1.0


def lite_loss(
    network: DetNetLite, drawn: DrawnCrops, size: int, surface: nn.Module | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """DetNet-lite: cross-entropy of the heat, distances of the joints in 2D and 3D, bone directions, and the error foretold.

    With a `surface` head the features must also tell, everywhere, which part of the hand is seen. Joints count by their weight.
    """
    fine, features = network.features(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    logits, delta, location, doubt = (m.float() for m in network.read(features))
    cells = logits.shape[-1]
    log_heat = logits.flatten(2).log_softmax(-1)
    heat = log_heat.exp().view_as(logits)
    # Where a left hand is shown there is nothing to learn but doubt: its heat is left alone, it may look like a right one's.
    right = (~drawn.mirrored)[:, None].float()
    present = drawn.present[:, None].float() * right
    inside = ((drawn.pixels > -0.5) & (drawn.pixels < size - 0.5)).all(-1) * present
    target = heat_target(drawn.pixels, cells, size, LITE_SIGMA).flatten(2)
    target = torch.where((present * inside)[..., None] > 0, target / target.sum(-1, keepdim=True).clamp_min(1e-6), 1 / cells**2)
    # Joints outside of the crop have no cell; pictures without a hand are to have no opinion.
    known = torch.where(present > 0, inside, torch.ones_like(inside)) * right
    heat_loss = (-(target * log_heat).sum(-1) * known * drawn.weight).mean()
    counts = inside * drawn.weight
    off_px = ((mean_pixels(heat, size) - drawn.pixels).norm(dim=-1) * counts).sum() / counts.sum().clamp_min(1)
    distance = (read(location, heat) - drawn.joints).norm(dim=-1)
    counts = present * drawn.weight
    joint_loss = (distance * counts).mean()
    delta_loss = ((read(delta, heat) - delta_target(drawn.joints)).norm(dim=-1) * counts).mean()
    error = torch.where(present > 0, distance, torch.ones_like(distance)).detach()
    expected = read_scalar(doubt, heat.detach())
    doubt_loss = ((error * torch.exp(-expected) + expected) * drawn.weight).mean()
    loss = 0.2 * heat_loss + 2.0 * off_px / size * 4 + 3.0 * joint_loss + 0.3 * delta_loss + 0.1 * doubt_loss
    figures = {"3d_mm": joint_loss.detach() * HAND_MM, "2d_px": off_px.detach()}
    if surface is not None:
        told = surface_loss(surface(fine, features).float(), drawn)
        loss = loss + SURFACE_WEIGHT * told
        figures["surface"] = told.detach()
    return loss, figures


def surface_loss(told: Tensor, drawn: DrawnCrops) -> Tensor:
    """Of maps (N, 5, S/4, S/4): cross-entropy of where the hand is, distance of which part of it and how deep."""
    share = drawn.surface[:, :1].float() * drawn.present[:, None, None, None]
    # Left hands' surfaces are right ones' mirror images, of which nothing is asked; real hands' are not known.
    counts = (~drawn.mirrored & ~drawn.taught)[:, None, None, None].float()
    mask_loss = (F.binary_cross_entropy_with_logits(told[:, :1], share, reduction="none") * counts).mean()
    where = drawn.surface[:, 1:].float() / drawn.surface[:, :1].float().clamp_min(1e-3)
    off = (told[:, 1:] - where.clamp(-2, 2)).abs() * told.new_tensor([1.0, 1.0, 2.0, 1.0])[:, None, None]
    weight = share * counts
    return mask_loss + (off * weight).sum() / (4 * weight.sum().clamp_min(1))


class SurfaceHead(nn.Module):
    """What is learnt beside the joints and thrown away afterwards: at every fourth pixel, whether the hand is seen, which part
    of it, and how deep. Twenty-one joints teach a picture's few cells, a surface all of them (cf. Güler et al. 2018, DensePose).
    """

    def __init__(self, network: DetNetLite):
        super().__init__()
        fine, coarse = network.width, 2 * network.width
        self.lateral = nn.Conv2d(coarse, fine, 1)
        self.fuse = conv(fine, fine, 1)
        self.read = nn.Conv2d(fine, 5, 1)

    def forward(self, fine: Tensor, features: Tensor) -> Tensor:
        """(N, 5, S/4, S/4): a logit, then x, y, z on the rest hand and the depth behind the wrist."""
        grown = F.interpolate(self.lateral(features), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.read(self.fuse(F.relu(fine + grown)))


def detnet_loss(network: MapNetwork, drawn: DrawnCrops, size: int) -> tuple[Tensor, dict[str, Tensor]]:
    """DetNet: the published losses (heat MSE, delta and location around the truth), the heat's few bright cells weighed up."""
    heat, delta, location, _ = network(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    heat, delta, location = heat.float(), delta.float(), location.float()
    cells = heat.shape[-1]
    present = (drawn.present & ~drawn.mirrored)[:, None].float()
    target = heat_target(drawn.pixels, cells, size, DETNET_SIGMA) * present[..., None, None]
    # Most cells are empty: unweighed, the answer zero is a long-lived valley.
    heat_loss = ((heat - target) ** 2 * (1 + 30 * target) * drawn.weight[..., None, None]).mean()
    share = (target / target.sum((2, 3), keepdim=True).clamp_min(1e-6)).flatten(2) * drawn.weight[..., None]

    def at_truth(maps: Tensor) -> Tensor:
        return maps.flatten(2).unflatten(1, (21, 3))

    location_error = (at_truth(location) - drawn.joints[..., None]).norm(dim=2)
    delta_error = (at_truth(delta) - delta_target(drawn.joints)[..., None]).norm(dim=2)
    joint_loss, delta_loss = (share * location_error).sum(-1).mean(), (share * delta_error).sum(-1).mean()
    with torch.no_grad():
        index, _ = peaks(heat)
        off_px = ((peak_pixels(heat, index, size) - drawn.pixels).norm(dim=-1) * present).mean()
        distance = ((read_at(location, index) - drawn.joints).norm(dim=-1) * present).mean()
    return 30 * heat_loss + 3 * joint_loss + 0.3 * delta_loss, {"3d_mm": distance * HAND_MM, "2d_px": off_px}
