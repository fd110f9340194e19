"""Appearance of a hand's surface: skin, nails, cloth, rings, per fragment, in linear RGB."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch.nn.functional import grid_sample, normalize

from hand.joints import FINGER_MCPS
from hand.synth.light import dot

# The ten tones of the Monk Skin Tone scale (Ellis Monk, 2022), lightest first, sRGB.
_MONK = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
TONES = len(_MONK)
SLEEVE_NONE = -3.0
"""Edge (hand axes, y) of the sleeve of a bare arm: beyond the elbow."""


def linear(srgb: torch.Tensor) -> torch.Tensor:
    """sRGB in [0, 1] to linear light, approximated by the power 2.2."""
    return srgb.clamp_min(0) ** 2.2


@cache
def _tones(device: str) -> torch.Tensor:
    return linear(torch.tensor([[int(h[k : k + 2], 16) / 255 for k in (0, 2, 4)] for h in _MONK], device=device))


@cache
def _noise_volume(texture: int, device: str) -> torch.Tensor:
    """(1, 4, 32, 32, 32) tileable noise, two smooth and two fine channels, about unit variance, by a fixed seed."""
    spectrum = torch.randn(4, 32, 32, 32, generator=torch.Generator().manual_seed(7 + texture))
    frequency = torch.fft.fftfreq(32) * 32
    radius = (frequency[:, None, None] ** 2 + frequency[:, None] ** 2 + frequency**2).sqrt()
    falloff = torch.stack([torch.exp(-((radius / cut) ** 2)) for cut in (2.5, 2.5, 7.0, 7.0)])
    volume = torch.fft.ifftn(torch.fft.fftn(spectrum, dim=(1, 2, 3)) * falloff, dim=(1, 2, 3)).real
    return (volume / volume.std((1, 2, 3), keepdim=True))[None].to(device)


def noise(points: torch.Tensor, texture: int) -> torch.Tensor:
    """(K, 4) values of tileable noise number `texture` at points (K, 3); its period is 1."""
    place = (points - points.floor()) * 2 - 1
    return grid_sample(
        _noise_volume(texture, str(points.device)), place[None, None, None], align_corners=False, padding_mode="border"
    )[0, :, 0, 0].T


def grain(points: torch.Tensor, texture: int) -> torch.Tensor:
    """As `noise`, without interpolation: several times faster, for detail finer than a pixel."""
    volume = _noise_volume(texture, str(points.device))[0].flatten(1).T
    x, y, z = ((points - points.floor()) * 32).long().clamp(0, 31).unbind(1)
    return volume.index_select(0, (z * 32 + y) * 32 + x)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Appearance of N hands."""

    tone: torch.Tensor
    """(N,) in [0, 9] along the Monk scale, light to dark."""
    tint: torch.Tensor
    """(N, 3) factor on the skin's colour."""
    blotch: torch.Tensor
    """(N, 4) strength of mottling, creases and knuckles, palm colour, nail colour."""
    nail: torch.Tensor
    """(N, 3) colour of the nails, linear."""
    cloth: torch.Tensor
    """(N, 2, 3) two colours of the sleeve."""
    sleeve: torch.Tensor
    """(N,) y in hand axes below which a sleeve covers the arm."""
    looseness: torch.Tensor
    """(N,) distance of the sleeve from the arm, unit hands."""
    band: torch.Tensor
    """(N, 2) y from and to which a watch or bracelet covers the wrist; empty where from ≥ to."""
    dial: torch.Tensor
    """(N, 3) colour of a watch's face, linear."""
    gloss: torch.Tensor
    """(N, 2) strength and exponent of the highlight."""
    offset: torch.Tensor
    """(N, 3) offset of the hand in the noise."""
    flush: torch.Tensor
    """(N,) redness of fingertips and knuckles, in [0, 1]."""
    ring: torch.Tensor
    """(N,) half of the width of the ring, unit hands; negative without a ring."""
    ring_finger: torch.Tensor
    """(N,) long: base joint of the ring's finger."""
    metal: torch.Tensor
    """(N, 3) colour of the ring, linear."""
    texture: int = 0
    """Number of the noise volume; held-out hands have one of their own."""


def sample_appearance(n: int, generator: torch.Generator, device: torch.device, texture: int = 0) -> Appearance:
    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, device=device)

    tone = uniform(0, TONES - 1)
    tint = uniform(0.88, 1.12, 3) * uniform(0.75, 1.25, 1)
    natural = uniform(0, 1, 1) < 0.88
    nail = torch.where(natural, torch.tensor([0.72, 0.42, 0.36], device=device) * uniform(0.7, 1.2, 1), uniform(0, 0.8, 3))
    sleeved, banded = uniform(0, 1) < 0.42, uniform(0, 1) < 0.16
    sleeve = torch.where(sleeved, uniform(-1.6, -0.12), torch.full((n,), SLEEVE_NONE, device=device))
    start = uniform(-0.55, -0.25)
    band = torch.stack([start, torch.where(banded, start + uniform(0.06, 0.3), start - 1)], 1)
    return Appearance(
        tone=tone,
        tint=tint,
        blotch=torch.cat([uniform(0, 1, 1) ** 2, uniform(0, 1, 3)], 1) * torch.tensor([0.14, 0.45, 1.0, 1.0], device=device),
        nail=nail,
        cloth=linear(uniform(0.02, 1, 2, 3)),
        sleeve=sleeve,
        looseness=0.015 + 0.2 * uniform(0, 1) ** 2,
        band=band,
        dial=linear(uniform(0, 1, 1) + uniform(-0.1, 0.1, 3)).clamp(0.01, 0.9),
        gloss=torch.stack([uniform(0, 1) ** 2 * 0.5, 6 + uniform(0, 1) ** 2 * 60], 1),
        offset=uniform(0, 1, 3),
        flush=uniform(0, 1),
        ring=torch.where(uniform(0, 1) < 0.12, uniform(0.012, 0.05), torch.full((n,), -1.0, device=device)),
        ring_finger=torch.tensor(FINGER_MCPS, device=device)[(uniform(0, 4)).long()],
        metal=torch.where(
            uniform(0, 1, 1) < 0.5, torch.tensor([0.75, 0.5, 0.2], device=device), uniform(0.1, 0.8, 1).expand(-1, 3)
        ),
        texture=texture,
    )


class Surface(NamedTuple):
    """Material of K surface points."""

    colour: torch.Tensor
    """(K, 3) albedo, linear."""
    skin: torch.Tensor
    """(K,) share of skin."""
    gloss: torch.Tensor
    """(K, 2) strength and exponent of the highlight."""


def albedo(
    appearance: Appearance, image: torch.Tensor, rest: torch.Tensor, regions: dict[str, torch.Tensor], joints: torch.Tensor
) -> Surface:
    """Material at points `rest` (K, 3) of the rest hand in images `image` (K,).

    `regions` (K, 1) each: shares of palm, nail, crease, knuckle and tip; `joints` (21, 3) of the rest hand.
    """

    def of_image(values: torch.Tensor) -> torch.Tensor:
        return values.index_select(0, image)

    skin, gloss = _skin(appearance, image, rest, regions)
    covered = (rest[:, 1] < of_image(appearance.sleeve)) | _in_band(appearance, image, rest)
    cloth = covered.nonzero()[:, 0]
    skin[cloth] = _cloth(appearance, image[cloth], rest[cloth])
    gloss[cloth] *= 0.3
    glass = cloth[_on_dial(appearance, image[cloth], rest[cloth])]
    skin[glass] = appearance.dial.index_select(0, image[glass])
    gloss[glass] = gloss.new_tensor([0.8, 60.0])
    metal = _in_ring(appearance, image, rest, joints).nonzero()[:, 0]
    if len(metal):
        skin[metal] = appearance.metal.index_select(0, image[metal])
        gloss[metal] = gloss.new_tensor([1.5, 25.0])
        covered[metal] = True
    return Surface(skin.clamp(0.004, 1), (~covered).float(), gloss)


def _skin(
    appearance: Appearance, image: torch.Tensor, rest: torch.Tensor, regions: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, 3) colours and (K, 2) gloss of bare skin."""

    def of_image(values: torch.Tensor) -> torch.Tensor:
        return values.index_select(0, image)

    tones = _tones(str(rest.device))
    first = appearance.tone.floor().long().clamp(0, TONES - 2)
    base = torch.lerp(tones[first], tones[first + 1], (appearance.tone - first)[:, None])
    # The scale describes faces; hands are redder, the more the lighter the skin is.
    dark = (appearance.tone / (TONES - 1))[:, None]
    base = base * appearance.tint * torch.lerp(base.new_tensor([1.0, 0.72, 0.6]), base.new_tensor([1.0, 0.84, 0.77]), dark)
    palm = base.new_tensor([0.62, 0.36, 0.26]) * (0.6 + 0.5 * (1 - dark)) * appearance.tint
    share = regions["palm"] * of_image(appearance.blotch[:, 2:3] * (0.25 + 0.6 * dark))
    colour = torch.lerp(of_image(base), of_image(palm), share)
    blotch, offset = of_image(appearance.blotch), of_image(appearance.offset)
    speck = noise(rest * 0.9 + offset, appearance.texture)
    fine = grain(rest * 4.3 + offset, appearance.texture)
    mottle = 1 + blotch[:, :1] * (speck[:, :1] + 0.4 * fine[:, 2:3])
    # Redness in patches and at fingertips and knuckles, more on lighter skin.
    redness = blotch[:, :1] * speck[:, 1:2] + of_image(appearance.flush[:, None] * (1 - 0.7 * dark)) * (
        regions["tip"] + 0.6 * regions["knuckle"] * (1 - regions["palm"])
    )
    colour = colour * mottle * (1 + redness * base.new_tensor([0.1, -0.5, -0.45]))
    # Creases are dark lines, across the finger over the knuckles.
    wrinkle = (rest[:, 1:2] * 75 + 2 * speck[:, 2:3]).sin().clamp_min(0)
    crease = regions["crease"] * (0.8 + 0.2 * fine[:, :1]) + regions["knuckle"] * (0.15 + 0.4 * wrinkle)
    colour = colour * (1 - blotch[:, 1:2] * crease.clamp(0, 1) * base.new_tensor([0.55, 0.8, 0.85]))
    nail = of_image(appearance.nail * (0.35 + 0.75 * base.amax(1, keepdim=True)))
    polish = regions["nail"] * blotch[:, 3:]
    colour = torch.lerp(colour, nail, polish)
    # The highlight of skin varies with its relief; that of nails is even.
    gloss = of_image(appearance.gloss)
    strength = gloss[:, :1] * (1 + 0.5 * speck[:, 3:4]).clamp(0, 2) + 0.2 * polish
    return colour, torch.cat([strength, gloss[:, 1:]], 1)


def _cloth(appearance: Appearance, image: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """(K, 3) colours of sleeves and straps: plain or woven, with folds across the arm."""
    offset = appearance.offset.index_select(0, image)
    scale = 2.1 * (1 + 3 * offset[:, :1])
    weave = (noise(rest * scale + offset, appearance.texture)[:, 1:2] * 3).sigmoid() * (offset[:, 1:2] > 0.6)
    first, second = appearance.cloth.index_select(0, image).unbind(1)
    folds = noise(rest * rest.new_tensor([0.25, 0.6, 0.25]) + offset, appearance.texture)[:, :1]
    return torch.lerp(first, second, weave) * (1 + 0.25 * folds).clamp(0.4, 1.5)


def _in_band(appearance: Appearance, image: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """(K,) bool: under a watch or bracelet."""
    low, high = appearance.band.index_select(0, image).unbind(1)
    return (rest[:, 1] > low) & (rest[:, 1] < high)


def _on_dial(appearance: Appearance, image: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """(K,) bool: on the watch's face, on the back of the wrist, where the band is about as wide as a watch's."""
    low, high = appearance.band.index_select(0, image).unbind(1)
    away = (rest[:, 0].square() + (rest[:, 1] - (low + high) / 2).square()).sqrt()
    return (high - low > 0.15) & (rest[:, 2] > 0) & (away < 0.17) & (rest[:, 1] > low - 0.05)


def _in_ring(appearance: Appearance, image: torch.Tensor, rest: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    """(K,) bool: under a ring, on the first bone of a finger."""
    base, end = joints[appearance.ring_finger], joints[appearance.ring_finger + 1]
    direction = normalize(end - base, dim=1)
    away = rest - torch.lerp(base, end, 0.58).index_select(0, image)
    along = dot(away, direction.index_select(0, image)).abs()
    return (along < appearance.ring.index_select(0, image)) & (dot(away, away) < 0.02)
