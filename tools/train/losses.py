"""The training losses of the networks on synthetic hands, and DetNet-lite's auxiliary surface loss."""

from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from adapt.core.synthetic_losses import DrawnLoss, detnet_drawn_loss, lite_drawn_loss
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.synth.crops import SyntheticCrops
from runtime.networks.detnet_lite import DetNetLite
from runtime.networks.network import MapNetwork, Maps, conv, normalise

SURFACE_WEIGHT = 1.0


@singledispatch
def training_loss(
    network: MapNetwork, drawn: SyntheticCrops, size: int, surface: "SurfaceHead | None" = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and its figures by name. Architectures with a loss of their own register it, else it is DetNet's."""
    assert surface is None, "only a network with a loss of its own has a surface head"
    heat, delta, location, _ = network(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    loss = detnet_drawn_loss(Maps(heat.float(), delta.float(), location.float()), drawn, size)
    return loss.total, _figures(loss)


@training_loss.register(DetNetLite)
def lite_loss(
    network: DetNetLite, drawn: SyntheticCrops, size: int, surface: "SurfaceHead | None" = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """DetNet-lite's.

    With a `surface` head it also predicts, everywhere, which part of the hand is visible. Joints count by their weight.
    """
    fine, features = network.features(normalise(drawn.images).contiguous(memory_format=torch.channels_last))
    logits, delta, location, log_error = (m.float() for m in network.read(features))
    loss = lite_drawn_loss((logits, delta, location, log_error), drawn, size)
    total, figures = loss.total, _figures(loss)
    if surface is not None:
        auxiliary = surface_loss(surface(fine, features).float(), drawn)
        total = total + SURFACE_WEIGHT * auxiliary
        figures["surface"] = auxiliary.detach()
    return total, figures


def _figures(loss: DrawnLoss) -> dict[str, Tensor]:
    return {"3d_mm": loss.joints.detach() * DEFAULT_HAND_SIZE_MM, "2d_px": loss.pixels.detach()}


def surface_loss(predicted: Tensor, drawn: SyntheticCrops) -> Tensor:
    """Of maps (N, 5, S/4, S/4): cross-entropy of where the hand is, distance of which part of it and how deep."""
    share = drawn.surface[:, :1].float() * drawn.present[:, None, None, None]
    # No loss for left hands, whose surfaces are mirror images, nor for real hands, whose surfaces are not known.
    counts = (~drawn.mirrored & ~drawn.taught)[:, None, None, None].float()
    mask_loss = (F.binary_cross_entropy_with_logits(predicted[:, :1], share, reduction="none") * counts).mean()
    where = drawn.surface[:, 1:].float() / drawn.surface[:, :1].float().clamp_min(1e-3)
    off = (predicted[:, 1:] - where.clamp(-2, 2)).abs() * predicted.new_tensor([1.0, 1.0, 2.0, 1.0])[:, None, None]
    weight = share * counts
    return mask_loss + (off * weight).sum() / (4 * weight.sum().clamp_min(1))


class SurfaceHead(nn.Module):
    """Auxiliary head, dropped after training: at every fourth pixel, whether the hand is visible, its part, and its depth.

    Twenty-one joints supervise a picture's few cells, a surface all of them (cf. Güler et al. 2018, DensePose).
    """

    def __init__(self, network: DetNetLite):
        super().__init__()
        fine, coarse = network.width, 2 * network.width
        self.lateral = nn.Conv2d(coarse, fine, 1)
        self.fuse = conv(fine, fine, 1)
        self.read = nn.Conv2d(fine, 5, 1)

    def forward(self, fine: Tensor, features: Tensor) -> Tensor:
        """(N, 5, S/4, S/4): a logit, then x, y, z on the rest hand and the depth behind the wrist."""
        upsampled = F.interpolate(self.lateral(features), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.read(self.fuse(F.relu(fine + upsampled)))


@singledispatch
def surface_head(network: MapNetwork) -> SurfaceHead | None:
    """An untrained head for the surface maps of a network; None for architectures that register none."""
    return None


@surface_head.register(DetNetLite)
def _surface_head_of_lite(network: DetNetLite) -> SurfaceHead:
    return SurfaceHead(network)
