"""Augmentation by roll and zoom about the image centre, as in another camera at the same position."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hand.synth.crops import SURFACE_CELL, SyntheticCrops

ROLL_DEG = 12.0
"""Standard deviation of the roll, in addition to that of the crops."""
BORDER = 8
"""Border of stored crops, px: content for rotated corners."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Rolls and zooms of N images, applied alike to images, joints and pixels."""

    roll: Tensor
    """(N, 2, 2) rotations of image coordinates, x right, y down."""
    zoom: Tensor
    """(N,) magnification."""

    @classmethod
    def sample(cls, n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> "Turn":
        angle = torch.randn(n, generator=generator, device=device) * math.radians(ROLL_DEG)
        zoom = 0.9 + 0.25 * torch.rand(n, generator=generator, device=device)
        cos, sin = angle.cos(), angle.sin()
        return cls(torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1), zoom)

    def pictures(self, pictures: Tensor, size: int, beyond: str = "reflection") -> Tensor:
        """(N, C, size, size) middle of the rotated float images or maps (N, C, H, H); `beyond`: padding mode of `grid_sample`."""
        n, channels, side, _ = pictures.shape
        theta = self.roll.mT * (size / (side * self.zoom))[:, None, None]
        theta = torch.cat([theta, theta.new_zeros(n, 2, 1)], 2)
        grid = F.affine_grid(theta, [n, channels, size, size], align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode=beyond, align_corners=False)

    def vectors(self, vectors: Tensor) -> Tensor:
        """Joints or directions (N, J, 3) in the rotated camera's axes."""
        return torch.cat([vectors[..., :2] @ self.roll.mT.to(vectors), vectors[..., 2:]], -1)

    def pixels(self, pixels: Tensor, side: int, size: int) -> Tensor:
        """Pixels (N, J, 2) of images of `side` px, in the rotated middle of `size` px."""
        return (pixels - (side - 1) / 2) @ self.roll.mT * self.zoom[:, None, None] + (size - 1) / 2


def turned(crops: SyntheticCrops, size: int, generator: torch.Generator) -> SyntheticCrops:
    """The crops, randomly rotated and zoomed, with random brightness, some of them truncated by the frame's edge."""
    n, device = len(crops.images), crops.images.device
    turn = Turn.sample(n, generator, device)
    source = crops.images.shape[1]
    images = turn.pictures(crops.images.permute(0, 3, 1, 2).float(), size)
    images = images * inside_frame(n, size, generator, device)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator, device=device)
    images = (images * gain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    cells = size // SURFACE_CELL
    return replace(
        crops,
        images=images,
        joints=turn.vectors(crops.joints),
        pixels=turn.pixels(crops.pixels, source, size),
        focal=crops.focal * turn.zoom,
        surface=turn.pictures(crops.surface.float(), cells, "zeros"),
    )


def inside_frame(n: int, size: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """(n, 1, size, size) 1 in the camera's frame, 0 beyond its edge, for the crops that it truncates."""
    edge = torch.rand(n, 1, 1, 1, generator=generator, device=device) * 0.35 * size
    edge = torch.where(torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.12, edge, torch.zeros_like(edge))
    side = torch.randint(4, (n, 1, 1, 1), generator=generator, device=device)
    span = torch.arange(size, device=device)
    x, y = span[None, :].expand(size, size), span[:, None].expand(size, size)
    distance = torch.where(side == 0, x, torch.where(side == 1, size - 1 - x, torch.where(side == 2, y, size - 1 - y)))
    return (distance >= edge).float()
