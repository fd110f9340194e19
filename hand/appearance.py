"""What a hand's surface looks like: skin, nails, cloth and light, per fragment, in linear RGB."""

from dataclasses import dataclass
from functools import cache

import torch
from torch.nn.functional import grid_sample, normalize

# The ten tones of the Monk Skin Tone scale (Ellis Monk, 2022), lightest first, sRGB.
_MONK = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
TONES = len(_MONK)
SLEEVE_NONE = -3.0
"""A sleeve's edge (hand axes, y) beyond the elbow: a bare arm."""


def linear(srgb: torch.Tensor) -> torch.Tensor:
    """sRGB in [0, 1] to linear light, by the usual power 2.2."""
    return srgb.clamp_min(0) ** 2.2


@cache
def _tones(device: str) -> torch.Tensor:
    return linear(torch.tensor([[int(h[k : k + 2], 16) / 255 for k in (0, 2, 4)] for h in _MONK], device=device))


@cache
def _noise_volume(texture: int, device: str) -> torch.Tensor:
    """(1, 4, 32, 32, 32) tileable noise, two smooth and two fine channels, about unit variance; always the same."""
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


@dataclass(frozen=True, slots=True)
class Appearance:
    """How N hands look."""

    tone: torch.Tensor
    """(N,) in [0, 9] along the Monk scale, light to dark."""
    tint: torch.Tensor
    """(N, 3) factor on the skin's colour."""
    blotch: torch.Tensor
    """(N, 4) strength of mottling, of creases and knuckles, of palm's difference, of nails' difference."""
    nail: torch.Tensor
    """(N, 3) colour of the nails, linear."""
    cloth: torch.Tensor
    """(N, 2, 3) two colours of the sleeve."""
    sleeve: torch.Tensor
    """(N,) y in hand axes below which the arm is in the sleeve."""
    band: torch.Tensor
    """(N, 2) y from and to which a watch or bracelet covers the wrist; empty where from ≥ to."""
    gloss: torch.Tensor
    """(N, 2) strength and exponent of the highlight."""
    offset: torch.Tensor
    """(N, 3) where in the noise this hand lies."""
    texture: int = 0
    """Which noise all of them are made of; held-out hands have one of their own."""


@dataclass(frozen=True, slots=True)
class Lights:
    """What lights N images: directional lights L and a sky."""

    direction: torch.Tensor
    """(N, L, 3) unit, camera axes, towards the light."""
    colour: torch.Tensor
    """(N, L, 3) linear, zero for a light that is off; the first one casts the shadow."""
    above: torch.Tensor
    """(N, 3) ambient light from `up`."""
    below: torch.Tensor
    """(N, 3) ambient light from its opposite."""
    up: torch.Tensor
    """(N, 3) unit, camera axes."""


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
        blotch=uniform(0, 1, 4) * torch.tensor([0.14, 0.45, 1.0, 1.0], device=device),
        nail=nail,
        cloth=linear(uniform(0.02, 1, 2, 3)),
        sleeve=sleeve,
        band=band,
        gloss=torch.stack([uniform(0, 1) ** 2 * 0.5, 6 + uniform(0, 1) ** 2 * 60], 1),
        offset=uniform(0, 1, 3),
        texture=texture,
    )


def sample_lights(n: int, generator: torch.Generator, device: torch.device) -> Lights:
    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    def colour(*shape: int) -> torch.Tensor:
        # From candle to blue sky: red and blue move against each other.
        warmth = (uniform(*shape, 1) - 0.5) * 0.7
        return torch.cat([1 + warmth, torch.ones_like(warmth), 1 - warmth], -1)

    direction = normalize(
        torch.randn(n, 3, 3, generator=generator, device=device) - torch.tensor([0.0, 0.35, 0.7], device=device), dim=-1
    )
    strength = torch.stack([0.25 + 1.0 * uniform(), uniform() * 0.6 * (uniform() < 0.6), uniform() * 0.5 * (uniform() < 0.3)], 1)
    up = normalize(torch.randn(n, 3, generator=generator, device=device) - torch.tensor([0.0, 0.8, 0.4], device=device), dim=-1)
    sky, ground = 0.12 + 0.75 * uniform(1), 0.05 + 0.5 * uniform(1)
    return Lights(direction, colour(3) * strength[..., None], colour() * sky, colour() * ground, up)


def albedo(
    look: Appearance, image: torch.Tensor, rest: torch.Tensor, regions: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, 3) surface colour and (K,) how much of it is skin, at points `rest` (K, 3) of the rest hand in images `image` (K,)."""
    tones = _tones(str(rest.device))
    tone = look.tone[image]
    first = tone.floor().long().clamp(0, TONES - 2)
    base = torch.lerp(tones[first], tones[first + 1], (tone - first)[:, None])
    # The scale is of faces in even light; hands hold more blood.
    base = base * look.tint[image] * base.new_tensor([1.0, 0.86, 0.8])
    blotch = look.blotch[image]
    dark = (tone / (TONES - 1))[:, None]
    palm = base.new_tensor([0.62, 0.36, 0.26]) * (0.6 + 0.5 * (1 - dark)) * look.tint[image]
    share = regions["palm"] * blotch[:, 2:3] * (0.25 + 0.6 * dark)
    colour = torch.lerp(base, palm, share)
    speck = noise(rest * 0.9 + look.offset[image], look.texture)
    fine = noise(rest * 4.3 + look.offset[image], look.texture)
    mottle = 1 + blotch[:, :1] * speck[:, :1] + 0.5 * blotch[:, :1] * fine[:, 2:3]
    flush = 1 + blotch[:, :1] * speck[:, 1:2] * base.new_tensor([0.1, -0.5, -0.5])
    colour = colour * mottle * flush
    # Creases are dark lines; knuckles are redder on light skin and darker on dark skin.
    crease = regions["crease"] * (0.7 + 0.3 * fine[:, :1]) + 0.6 * regions["knuckle"] * (fine[:, 2:3] > 0.2)
    colour = colour * (1 - blotch[:, 1:2] * crease.clamp(0, 1) * base.new_tensor([0.55, 0.8, 0.85]))
    colour = torch.lerp(colour, look.nail[image] * (0.35 + 0.75 * base.amax(1, keepdim=True)), regions["nail"] * blotch[:, 3:])

    y = rest[:, 1]
    band = look.band[image]
    strap = (y > band[:, 0]) & (y < band[:, 1])
    sleeve = y < look.sleeve[image]
    scale = 2.1 * (1 + 3 * look.offset[image][:, :1])
    weave = (noise(rest * scale + look.offset[image], look.texture)[:, 1:2] > 0.4).float()
    cloth = torch.lerp(look.cloth[image, 0], look.cloth[image, 1], weave * (look.offset[image][:, 1:2] > 0.5))
    covered = strap | sleeve
    return torch.where(covered[:, None], cloth, colour).clamp(0.004, 1), (~covered).float()


def shade(
    lights: Lights, look: Appearance, image: torch.Tensor, normal: torch.Tensor, position: torch.Tensor, colour: torch.Tensor,
    skin: torch.Tensor, lit: torch.Tensor, open_sky: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """(K, 3) linear light towards the camera.

    `normal`, `position` (K, 3) camera axes; `colour` (K, 3) albedo; `skin` (K,); `lit` (K,) share of the first light that
    arrives; `open_sky` (K,) share of the ambient light. Diffuse light wraps around skin, red the farthest, as light that
    travels under the skin does.
    """
    facing = (normal[:, None] * lights.direction[image]).sum(-1)
    wrap = skin[:, None, None] * colour.new_tensor([0.30, 0.12, 0.08])
    diffuse = ((facing[..., None] + wrap) / (1 + wrap)).clamp_min(0)
    arrives = torch.ones_like(facing)
    arrives[:, 0] = lit
    light = (diffuse * lights.colour[image] * arrives[..., None]).sum(1)
    sky = (0.5 + 0.5 * (normal * lights.up[image]).sum(-1, keepdim=True)).clamp(0, 1)
    light = light + torch.lerp(lights.below[image], lights.above[image], sky) * open_sky[:, None]
    half = normalize(lights.direction[image] - normalize(position, dim=-1)[:, None], dim=-1)
    gloss = look.gloss[image]
    shine = (normal[:, None] * half).sum(-1).clamp_min(1e-4) ** gloss[:, 1:2] * gloss[:, :1] * (facing > 0) * arrives
    return colour * light + (shine[..., None] * lights.colour[image]).sum(1) * (0.3 + 0.7 * skin[:, None])
