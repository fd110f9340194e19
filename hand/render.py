"""One hand in one light before one camera: posed skin in, light, coverage and depth out, batched in torch."""

from typing import NamedTuple

import torch
from torch.nn.functional import avg_pool2d, interpolate, normalize

from hand.appearance import Appearance, Lights, albedo, shade
from hand.model import HandModel
from hand.raster import Fragments, rasterise, vertex_normals

SAMPLES = 2
"""Points a pixel and axis at which the hand's outline is tested, unless the caller says otherwise."""
SHADOW_SIDE = 128
"""Largest side of the shadow map, px."""


class Rendered(NamedTuple):
    """N hands, alone."""

    light: torch.Tensor
    """(N, 3, H, W) linear RGB, 0 where there is no hand."""
    alpha: torch.Tensor
    """(N, 1, H, W) share of each pixel that the hand covers."""
    depth: torch.Tensor
    """(N, 1, H, W) along the camera's z axis, 1e3 where there is no hand."""


def render(
    model: HandModel,
    vertices: torch.Tensor,
    pixels: torch.Tensor,
    size: tuple[int, int],
    look: Appearance,
    lights: Lights,
    *,
    samples: int = SAMPLES,
    per_vertex: bool = False,
) -> Rendered:
    """Draw N posed hands.

    `vertices` (N, V, 3) in camera axes, unit hands; `pixels` (N, V, 2) where the camera sees them; `size` (height, width).
    With `per_vertex` light is worked out at the vertices and not at every pixel: coarser, and many times quicker where
    a hand covers many pixels.
    """
    n, count, _ = vertices.shape
    faces = model.faces
    fragments = rasterise(pixels, vertices[..., 2], faces, size, samples)
    normals = vertex_normals(vertices, faces)
    still = torch.cat([model.vertices, *(values[:, None] for values in model.regions.values())], 1)
    if per_vertex:
        image = torch.arange(n, device=vertices.device).repeat_interleave(count)
        position, normal, surface = vertices.flatten(0, 1), normals.flatten(0, 1), still.repeat(n, 1)
        open_sky = torch.ones_like(position[:, 0])
    else:
        image, surface = fragments.image, fragments.interpolate(still, faces)
        position, normal = fragments.interpolate(torch.cat([vertices, normals], -1), faces).split(3, 1)
        open_sky = _open_sky(fragments)
    regions = {name: surface[:, 3 + k : 4 + k] for k, name in enumerate(model.regions)}
    colour, skin = albedo(look, image, surface[:, :3], regions)
    lit = _shadow(vertices, faces, lights.direction[:, 0], image, position, min(max(size), SHADOW_SIDE))
    light = shade(lights, look, image, normalize(normal, dim=1), position, colour, skin, lit, open_sky)
    if per_vertex:
        light = fragments.interpolate(light.view(n, count, 3), faces)
    layers = torch.cat([light, fragments.coverage[:, None]], 1)
    light, alpha = fragments.dense(layers).permute(0, 3, 1, 2).split((3, 1), 1)
    depth = fragments.dense(fragments.depth[:, None], 1e3).permute(0, 3, 1, 2)
    return Rendered(light, alpha, depth)


def turn_to_axis(direction: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) smallest rotations that turn `direction` (N, 3), somewhere in front, onto the z axis."""
    x, y, z = normalize(direction, dim=1).unbind(1)
    k = 1 / (1 + z)
    rows = [1 - x * x * k, -x * y * k, -x, -x * y * k, 1 - y * y * k, -y, x, y, z]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def _shadow(
    vertices: torch.Tensor, faces: torch.Tensor, towards: torch.Tensor, image: torch.Tensor, position: torch.Tensor, size: int
) -> torch.Tensor:
    """(K,) share of a light from direction `towards` (N, 3) that reaches the fragments at `position` (K, 3)."""
    turn = turn_to_axis(torch.where(towards[:, 2:] > -0.98, -towards, -towards + 0.2))
    in_light = vertices @ turn.transpose(1, 2)
    low, high = in_light.amin(1), in_light.amax(1)
    scale = (size - 3) / (high - low)[:, :2].amax(1)
    pixels = (in_light[..., :2] - low[:, None, :2]) * scale[:, None, None] + 1
    drawn = rasterise(pixels, in_light[..., 2] - low[:, None, 2] + 1, faces, (size, size))
    nearest = drawn.dense(drawn.depth[:, None], 1e3)[..., 0].flatten()
    place = (turn[image] @ position[..., None])[..., 0] - low[image]
    spot = place[:, :2] * scale[image, None] + 1
    depth = place[:, 2] + 1
    lit = torch.zeros_like(depth)
    for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        x = (spot[:, 0] + dx - 0.5).round().long().clamp(0, size - 1)
        y = (spot[:, 1] + dy - 0.5).round().long().clamp(0, size - 1)
        lit += depth < nearest[image * size * size + y * size + x] + 0.09
    return lit / 4


def _open_sky(fragments: Fragments) -> torch.Tensor:
    """(K,) ambient light that is left where the surface lies deeper than what is around it, from the depth image."""
    n, height, width = fragments.shape
    depth = fragments.dense(fragments.depth[:, None]).view(n, 1, height, width)
    both = torch.cat([depth, (depth > 0).to(depth.dtype)], 1)
    hidden = torch.zeros_like(depth)
    for radius in (1, 3):
        mean, covered = box_blur(both, radius * height // 32).split(1, 1)
        hidden += ((depth - mean / covered.clamp_min(1e-6)) / 0.35).clamp(0, 0.45)
    return 1 - hidden.flatten()[fragments.cell]


def box_blur(image: torch.Tensor, radius: int) -> torch.Tensor:
    """(N, C, H, W) means over about (2 radius + 1)² pixels; H and W divisible by 4.

    Taken at a quarter of the resolution, since pooling over wide windows is slow on a CPU.
    """
    small = avg_pool2d(image, 4)
    kernel = max(1, radius // 4) * 2 + 1
    small = avg_pool2d(avg_pool2d(small, (1, kernel), 1, (0, kernel // 2)), (kernel, 1), 1, (kernel // 2, 0))
    return interpolate(small, scale_factor=4.0)
