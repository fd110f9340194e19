"""Background images for synthetic hands: photographs, if a bank of them is given, and procedural images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch.nn.functional import interpolate

from hand.errors import UserError
from hand.synth.appearance import linear

PROCEDURAL = 96
SIZE = (192, 256)
"""(height, width) of each image, px."""
Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True)
class Backgrounds:
    """A bank of background images."""

    pictures: torch.Tensor
    """(P, H, W, 3) uint8 sRGB."""
    photographs: int
    """The number of photographs; they come first."""
    split: Split

    @classmethod
    def load(cls, file: Path | None, split: Split, device: torch.device | str = "cpu") -> "Backgrounds":
        """Photographs of `file` (made by tools.train.backgrounds; None: none) and procedural images of this split's seed.

        Raises UserError where the file does not exist.
        """
        if file is not None and not file.is_file():
            raise UserError(f"the background bank {file} does not exist; make it with 'python -m tools.train.backgrounds'")
        made = procedural(PROCEDURAL, seed=11 if split == "train" else 12)
        if file is None:
            return cls(made.to(device), 0, split)
        with safe_open(file, "pt") as bank:
            photographs = bank.get_tensor(split)
        return cls(torch.cat([photographs, made]).to(device), len(photographs), split)

    def crops(self, n: int, size: int, generator: torch.Generator, roll: torch.Tensor | None = None) -> torch.Tensor:
        """(n, 3, size, size) linear light: random details, rotated, scaled and recoloured.

        `roll` (n,): radians of an additional clockwise rotation.
        """
        device = self.pictures.device

        def uniform(*shape: int) -> torch.Tensor:
            return torch.rand(n, *shape, generator=generator, device=device)

        count, height, width, _ = self.pictures.shape
        photograph = uniform() < (0.75 if self.photographs else 0.0)
        pick = torch.where(
            photograph, uniform() * self.photographs, self.photographs + uniform() * (count - self.photographs)
        ).long()
        # How many source pixels one pixel spans: from an enlarged detail to nearly the whole height.
        step = (0.25 * (0.95 * height / size / 0.25) ** uniform()) if size < 4 * height else uniform()
        step = step.clamp_max(height / size)
        angle = (uniform() - 0.5) * 1.2 + (0 if roll is None else -roll)
        flip = torch.where(uniform() < 0.5, -1.0, 1.0)
        span = torch.arange(size, device=device) - (size - 1) / 2
        y, x = torch.meshgrid(span, span, indexing="ij")
        cos, sin = (angle.cos() * step)[:, None, None], (angle.sin() * step)[:, None, None]
        column = (cos * x - sin * y) * flip[:, None, None] + (uniform() * width)[:, None, None]
        row = sin * x + cos * y + (uniform() * height)[:, None, None]
        # Reflected at the borders.
        column = (column.round().long() % (2 * width) - width).abs().clamp_max(width - 1)
        row = (row.round().long() % (2 * height) - height).abs().clamp_max(height - 1)
        crop = linear(self.pictures[pick[:, None, None], row, column].permute(0, 3, 1, 2).float() / 255)
        tint = (0.6 + 0.8 * uniform(1, 1, 1)) * (0.85 + 0.3 * uniform(3, 1, 1))
        return crop * tint


def procedural(n: int, seed: int) -> torch.Tensor:
    """(n, H, W, 3) uint8: gradients, noise of several roughnesses, stripes, tiles and flat areas; some in skin colours."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator)

    height, width = SIZE
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 4 / 3, width), indexing="ij")
    angle = uniform(1, 1) * torch.pi
    along = x * angle.cos() + y * angle.sin()
    across = y * angle.cos() - x * angle.sin()
    cloud = torch.zeros(n, height, width)
    for octave in range(1, 7):
        coarse = torch.randn(n, 1, 3 * 2 ** (octave - 1), 4 * 2 ** (octave - 1), generator=generator)
        grown = interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False)[:, 0]
        cloud += grown * (0.35 + 0.6 * uniform(1, 1)) ** octave
    frequency = 3 + 40 * uniform(1, 1) ** 2
    stripes = torch.sin(along * frequency * 2 * torch.pi) * (4 + 10 * uniform(1, 1))
    tiles = stripes * torch.sin(across * frequency * 2 * torch.pi * (0.4 + uniform(1, 1)))
    kind = torch.randint(5, (n, 1, 1), generator=generator)
    pattern = torch.where(kind == 1, stripes, torch.where(kind == 2, tiles, torch.where(kind == 3, (cloud * 6), cloud)))
    pattern = torch.where(kind == 4, along * 4 - 2, pattern)
    share = torch.sigmoid(pattern)[..., None]
    first, second = uniform(1, 1, 3), uniform(1, 1, 3)
    skin = torch.tensor([0.80, 0.60, 0.48]) * (0.35 + 0.75 * uniform(1, 1, 1))
    fleshy = uniform(1, 1, 1) < 0.3
    second = torch.where(fleshy, skin, second)
    image = first * share + second * (1 - share) + 0.06 * cloud[..., None]
    return (image.clamp(0, 1) * 255).to(torch.uint8)
