"""Augmentation by roll and zoom about the image centre, as another camera at the same place would see the hand."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hand.synth.crops import SURFACE_CELL, SyntheticCrops

ROLL_DEG = 12.0
"""Standard deviation of the roll, besides the one that crops come with."""
BORDER = 8
"""Pixels around a crop that is kept, so that it can be turned."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Of N pictures; exact for image, joints and pixels alike."""

    roll: Tensor
    """(N, 2, 2) rotations of picture coordinates, x right, y down."""
    zoom: Tensor
    """(N,) by how much the picture grows."""

    @classmethod
    def sample(cls, n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> "Turn":
        angle = torch.randn(n, generator=generator, device=device) * math.radians(ROLL_DEG)
        zoom = 0.9 + 0.25 * torch.rand(n, generator=generator, device=device)
        cos, sin = angle.cos(), angle.sin()
        return cls(torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1), zoom)

    def pictures(self, pictures: Tensor, size: int, beyond: str = "reflection") -> Tensor:
        """(N, C, size, size) the turned middle of float pictures or maps (N, C, H, H); `beyond` it as `grid_sample` pads."""
        n, channels, side, _ = pictures.shape
        theta = self.roll.mT * (size / (side * self.zoom))[:, None, None]
        theta = torch.cat([theta, theta.new_zeros(n, 2, 1)], 2)
        grid = F.affine_grid(theta, [n, channels, size, size], align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode=beyond, align_corners=False)

    def vectors(self, vectors: Tensor) -> Tensor:
        """Joints or directions (N, J, 3) in the turned camera's axes."""
        return torch.cat([vectors[..., :2] @ self.roll.mT.to(vectors), vectors[..., 2:]], -1)

    def pixels(self, pixels: Tensor, side: int, size: int) -> Tensor:
        """Pixels (N, J, 2) of pictures of `side` px in their turned middle of `size` px."""
        return (pixels - (side - 1) / 2) @ self.roll.mT * self.zoom[:, None, None] + (size - 1) / 2


def turned(drawn: SyntheticCrops, size: int, generator: torch.Generator) -> SyntheticCrops:
    """The same hands turned at random, lit differently, and some of them cut off by the frame's edge."""
    n, device = len(drawn.images), drawn.images.device
    turn = Turn.sample(n, generator, device)
    source = drawn.images.shape[1]
    images = turn.pictures(drawn.images.permute(0, 3, 1, 2).float(), size)
    images = images * inside_frame(n, size, generator, device)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator, device=device)
    images = (images * gain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    cells = size // SURFACE_CELL
    return replace(
        drawn,
        images=images,
        joints=turn.vectors(drawn.joints),
        pixels=turn.pixels(drawn.pixels, source, size),
        focal=drawn.focal * turn.zoom,
        surface=turn.pictures(drawn.surface.float(), cells, "zeros"),
    )


def inside_frame(n: int, size: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """(n, 1, size, size) 1 in the camera's frame, 0 beyond its edge, which cuts some crops: those are black there."""
    edge = torch.rand(n, 1, 1, 1, generator=generator, device=device) * 0.35 * size
    edge = torch.where(torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.12, edge, torch.zeros_like(edge))
    side = torch.randint(4, (n, 1, 1, 1), generator=generator, device=device)
    span = torch.arange(size, device=device)
    x, y = span[None, :].expand(size, size), span[:, None].expand(size, size)
    distance = torch.where(side == 0, x, torch.where(side == 1, size - 1 - x, torch.where(side == 2, y, size - 1 - y)))
    return (distance >= edge).float()
