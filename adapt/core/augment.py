"""Augmentation of the student's crops, while the teacher gets them plain: roll, zoom, light, blur, noise, occlusion.

The teacher's pseudo-label holds for the augmented crop too, turned with it (cf. Sohn et al. 2020, FixMatch).
"""

import torch
from torch import Tensor

from hand.synth.photo import Camera
from hand.synth.turn import Turn, inside_frame

COVERED = 0.25
"""Share of crops with an occluder."""
_COVER = (0.15, 0.4)
"""How wide and high it is, from and to; shares of the crop's side."""


class Augmenter:
    """Changes batches of crops; deterministic by seed on one kind of device."""

    def __init__(self, seed: int, device: torch.device | str = "cpu"):
        self._generator = torch.Generator(device=device).manual_seed(seed)
        self._camera = Camera(self._generator, torch.device(device))

    def turn(self, n: int) -> Turn:
        """Random turns for `n` crops."""
        return Turn.sample(n, self._generator, self._generator.device)

    def __call__(self, images: Tensor, turn: Turn) -> Tensor:
        """The crops (N, S, S, 3) uint8, turned and changed in all other ways."""
        n, side = len(images), images.shape[1]
        pictures = turn.pictures(images.permute(0, 3, 1, 2).float() / 255, side)
        pictures = self._covered(self._lit(pictures))
        pictures = self._camera.jpeg(self._camera.noise(self._camera.blur(pictures)))
        pictures = pictures * inside_frame(n, side, self._generator, pictures.device)
        return (pictures.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def _lit(self, pictures: Tensor) -> Tensor:
        """Brightness, gamma, white balance and colourfulness, each a little off."""
        n = len(pictures)
        gamma = 2 ** (self._uniform(n, 1, 1, 1) - 0.5)
        gain = (0.75 + 0.5 * self._uniform(n, 1, 1, 1)) * (1 + 0.16 * (self._uniform(n, 3, 1, 1) - 0.5))
        pictures = pictures.clamp_min(1e-4) ** gamma * gain
        return torch.lerp(pictures.mean(1, keepdim=True), pictures, 0.6 + 0.8 * self._uniform(n, 1, 1, 1)).clamp(0, 1)

    def _covered(self, pictures: Tensor) -> Tensor:
        """Some of them occluded by a detail of another crop of the batch."""
        n, _, side, _ = pictures.shape
        least, most = _COVER
        size = side * (least + (most - least) * self._uniform(2, n, 1))
        start = self._uniform(2, n, 1) * (side - size)
        span = torch.arange(side, device=pictures.device)
        x, y = ((span >= start) & (span < start + size)).unbind(0)
        other = pictures[torch.randperm(n, generator=self._generator, device=pictures.device)].flip(3)
        covered = (self._uniform(n, 1, 1) < COVERED) & y[:, :, None] & x[:, None, :]
        return torch.where(covered[:, None], other, pictures)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._generator.device)
