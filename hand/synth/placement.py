"""Placement of cut-outs in scenes: rotation, scale, mirroring and resampling."""

from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample


@dataclass(frozen=True, slots=True)
class Placement:
    """Similarity transforms, mirrored or not, of K cut-outs into their scenes."""

    turn: torch.Tensor
    """(K, 2, 2) scene_from_cut-out, scale and mirror included."""
    origin: torch.Tensor
    """(K, 2) px in the cut-out that is mapped to `centre`."""
    centre: torch.Tensor
    """(K, 2) px in the scene."""

    def __getitem__(self, rows: torch.Tensor) -> "Placement":
        return Placement(self.turn[rows], self.origin[rows], self.centre[rows])

    def to_scene(self, pixels: torch.Tensor) -> torch.Tensor:
        """Scene pixels (K, J, 2) of cut-out pixels (K, J, 2)."""
        return (pixels - self.origin[:, None]) @ self.turn.transpose(1, 2) + self.centre[:, None]

    def to_cutout(self, pixels: torch.Tensor) -> torch.Tensor:
        """Cut-out pixels (K, J, 2) of scene pixels (K, J, 2)."""
        return (pixels - self.centre[:, None]) @ torch.linalg.inv(self.turn).transpose(1, 2) + self.origin[:, None]


def turn_of(angle: torch.Tensor, scale: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
    """(K, 2, 2) scene_from_cut-out: mirrored where `mirrored` (K,), scaled, then rotated by `angle` (K,) radians."""
    cos, sin = angle.cos() * scale, angle.sin() * scale
    flip = torch.where(mirrored, -1.0, 1.0)
    return torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)


def resample(level: torch.Tensor, pick: torch.Tensor, placement: Placement, side: int, full: int) -> torch.Tensor:
    """(K, 4, side, side) the cut-outs `pick` (K,) of `level` (N, 4, ·, ·), resampled in their scenes.

    `placement` counts pixels of cut-outs `full` px wide.
    """
    span = torch.arange(side, device=level.device, dtype=torch.float32)
    y, x = torch.meshgrid(span, span, indexing="ij")
    points = torch.stack([x, y], -1).view(1, -1, 2).expand(len(pick), -1, -1)
    grid = ((2 * placement.to_cutout(points) + 1) / full - 1).view(-1, side, side, 2)
    return grid_sample(level[pick].float(), grid, align_corners=False)
