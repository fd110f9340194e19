"""Lighting: lights of rooms, and shading of surfaces per fragment, in linear RGB."""

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import normalize

from hand.synth.aim import about_axis


@dataclass(frozen=True, slots=True)
class Lights:
    """Lights of N images: L directional lights and ambient light."""

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


def rolled(lights: Lights, roll: torch.Tensor) -> Lights:
    """The lights in the axes of cameras whose images are rotated clockwise by `roll` (N,) radians."""
    turn = about_axis(roll).transpose(1, 2)
    return replace(lights, direction=lights.direction @ turn, up=(lights.up[:, None] @ turn)[:, 0])


def shade(
    lights: Lights, gloss: torch.Tensor, image: torch.Tensor, normal: torch.Tensor, position: torch.Tensor, colour: torch.Tensor,
    skin: torch.Tensor, lit: torch.Tensor, ambient_visibility: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """(K, 3) linear light towards the camera.

    `gloss` (K, 2) strength and exponent of the highlight; `image` (K,) index of the image; `normal`, `position` (K, 3)
    camera axes; `colour` (K, 3) albedo; `skin` (K,) in [0, 1]; `lit` (K,) share of the first light that arrives;
    `ambient_visibility` (K,) share of the ambient light. Diffuse light wraps around skin, red the farthest, which
    approximates subsurface scattering.
    """
    # Rows are fetched by index_select and products summed term by term: several times faster than indexing and sum on a CPU.
    view_direction = normalize(position, dim=1)
    wrap = skin[:, None] * colour.new_tensor([0.30, 0.12, 0.08])
    sky = (0.5 + 0.5 * dot(normal, lights.up.index_select(0, image)))[:, None]
    above, below = lights.above.index_select(0, image), lights.below.index_select(0, image)
    diffuse = torch.lerp(below, above, sky) * ambient_visibility[:, None]
    highlights = torch.zeros_like(colour)
    for number in range(lights.direction.shape[1]):
        direction = lights.direction[:, number].index_select(0, image)
        radiance = lights.colour[:, number].index_select(0, image)
        if number == 0:
            radiance = radiance * lit[:, None]
        facing = dot(normal, direction)
        diffuse += ((facing[:, None] + wrap) / (1 + wrap)).clamp_min(0) * radiance
        half = direction - view_direction
        specular = dot(normal, half) / dot(half, half).clamp_min(1e-8).sqrt()
        highlights += (gloss[:, 0] * specular.clamp_min(1e-4) ** gloss[:, 1] * (facing > 0))[:, None] * radiance
    return colour * diffuse + highlights * (0.3 + 0.7 * skin[:, None])


def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(K,) scalar products of vectors (K, 3)."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]
