"""How a drawn crop is used anew: rolled, zoomed, lit differently, cut off by the frame's edge."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hand.draw import SURFACE_CELL, DrawnCrops

ROLL_DEG = 12.0
"""Standard deviation of the roll, besides the one that crops are drawn with."""


def turned(drawn: DrawnCrops, size: int, generator: torch.Generator) -> DrawnCrops:
    """The same hands under a camera rolled about its axis and zoomed: exact for image, joints and pixels."""
    n, device = len(drawn.images), drawn.images.device
    angle = torch.randn(n, generator=generator, device=device) * math.radians(ROLL_DEG)
    zoom = 0.9 + 0.25 * torch.rand(n, generator=generator, device=device)
    cos, sin = angle.cos(), angle.sin()
    roll = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    source = drawn.images.shape[1]
    theta = roll.transpose(1, 2) * (size / (source * zoom))[:, None, None]
    grid = F.affine_grid(torch.cat([theta, theta.new_zeros(n, 2, 1)], 2), [n, 3, size, size], align_corners=False)
    images = F.grid_sample(drawn.images.permute(0, 3, 1, 2).float(), grid, padding_mode="reflection", align_corners=False)
    images = images * _inside_frame(n, size, generator, device)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator, device=device)
    images = (images * gain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    joints = torch.cat([drawn.joints[..., :2] @ roll.transpose(1, 2), drawn.joints[..., 2:]], -1)
    pixels = (drawn.pixels - (source - 1) / 2) @ roll.transpose(1, 2) * zoom[:, None, None] + (size - 1) / 2
    cells = size // SURFACE_CELL
    grid = F.affine_grid(torch.cat([theta, theta.new_zeros(n, 2, 1)], 2), [n, 5, cells, cells], align_corners=False)
    surface = F.grid_sample(drawn.surface.float(), grid, align_corners=False)
    return replace(drawn, images=images, joints=joints, pixels=pixels, focal=drawn.focal * zoom, surface=surface)


def _inside_frame(n: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(n, 1, size, size) 1 in the camera's frame, 0 beyond its edge, which cuts some crops: those are black there."""
    edge = torch.rand(n, 1, 1, 1, generator=generator, device=device) * 0.35 * size
    edge = torch.where(torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.12, edge, torch.zeros_like(edge))
    side = torch.randint(4, (n, 1, 1, 1), generator=generator, device=device)
    span = torch.arange(size, device=device)
    x, y = span[None, :].expand(size, size), span[:, None].expand(size, size)
    distance = torch.where(side == 0, x, torch.where(side == 1, size - 1 - x, torch.where(side == 2, y, size - 1 - y)))
    return (distance >= edge).float()
