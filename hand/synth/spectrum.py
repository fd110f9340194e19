"""Transfer of photographs' amplitude spectra to synthetic images, which closes the gap in frequency statistics.

Low-frequency amplitudes carry light, tint and contrast; they are taken from a photograph. The phase, which locates edges,
stays: Yang & Soatto, "FDA", CVPR 2020, section 2.1; Zhao et al., "Analyzing the Synthetic-to-Real Domain Gap in 3D Hand Pose
Estimation", CVPR 2025, measure its benefit for hands.
"""

import torch

from hand.synth.backgrounds import Backgrounds

SHARE = 0.25
"""Share of the images with a mixed spectrum."""
RADIUS = (1.0, 6.0)
"""Least and largest cut-off of the mixed amplitudes, cycles per image."""


def mix_amplitude(images: torch.Tensor, photographs: torch.Tensor, strength: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """`images` (N, C, H, W) with their own phases, and amplitudes interpolated by `strength` (N,) towards those of `photographs`.

    Above `radius` (N,), cycles per image, the weight falls linearly to zero at one and a half times the radius. Values may
    leave the range of `images`.
    """
    own, other = torch.fft.rfft2(images), torch.fft.rfft2(photographs)
    amplitude = own.abs()
    height, width = images.shape[-2:]
    rows = torch.fft.fftfreq(height, 1 / height, device=images.device)
    columns = torch.fft.rfftfreq(width, 1 / width, device=images.device)
    distance = (rows[:, None] ** 2 + columns**2).sqrt() / radius[:, None, None]
    weight = strength[:, None, None] * (3 - 2 * distance).clamp(0, 1)
    # A real factor does not change the phase.
    factor = 1 + weight[:, None] * (other.abs() / amplitude.clamp_min(1e-6) - 1)
    return torch.fft.irfft2(own * factor, s=(height, width))


def photograph_details(backgrounds: Backgrounds, n: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """(n, 3, size, size) sRGB in [0, 1]: random details of the bank's photographs, reflected where they are smaller."""
    bank = backgrounds.pictures[: backgrounds.photographs]
    device = bank.device
    height, width = bank.shape[1:3]

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    def places(length: int, step: torch.Tensor) -> torch.Tensor:
        """(n, size) pixels along an axis of `length`, `step` (n,) apart."""
        room = (length - size * step).clamp_min(0)
        line = (uniform() * room)[:, None] + torch.arange(size, device=device) * step[:, None]
        line = line.long() % (2 * length)
        return torch.minimum(line, 2 * length - 1 - line)

    pick = (uniform() * len(bank)).long()
    step = 1 + uniform() * max(0.0, min(height, width) / size - 1)
    rows, columns = places(height, step), places(width, step)
    return bank[pick[:, None, None], rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2).float() / 255


class SpectrumMixer:
    """Mixes low-frequency amplitudes of photographs of a bank's training split into a share of the images."""

    def __init__(self, backgrounds: Backgrounds, generator: torch.Generator, share: float = SHARE):
        """Changes no image where the bank holds no photographs, and where it is the held-out one."""
        self._backgrounds, self._generator = backgrounds, generator
        self._share = share if backgrounds.photographs and backgrounds.split == "train" else 0.0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """The images (N, 3, S, S), sRGB in [0, 1], a share of them mixed."""
        if not self._share:
            return images

        def uniform(n: int) -> torch.Tensor:
            return torch.rand(n, generator=self._generator, device=images.device)

        chosen = (uniform(len(images)) < self._share).nonzero()[:, 0]
        if not len(chosen):
            return images
        photographs = photograph_details(self._backgrounds, len(chosen), images.shape[-1], self._generator)
        strength = 0.6 * uniform(len(chosen))
        radius = RADIUS[0] * (RADIUS[1] / RADIUS[0]) ** uniform(len(chosen))
        images = images.clone()
        images[chosen] = mix_amplitude(images[chosen], photographs, strength, radius).clamp(0, 1)
        return images
