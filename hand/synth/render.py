"""Rendering of a hand: radiance, coverage and depth of posed skin under given lights, batched in torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch.nn.functional import avg_pool2d, interpolate, normalize

from hand.joints import TIPS
from hand.model import HandModel
from hand.synth.aim import turn_to_axis
from hand.synth.appearance import Appearance, albedo
from hand.synth.light import Lights, shade
from hand.synth.objects import ObjectLayer, SceneObjects, contact
from hand.synth.raster import Fragments, rasterise, vertex_normals

SHADOW_SIDE = 128
"""Largest side of the shadow map, px."""
SHADOW_LIFT = 0.03
"""Offset along the normal of shadow look-ups, unit hands, since a pixel of the map spans slopes of the surface."""
SHADOW_BIAS = 0.04
"""Depth below a lit surface that still counts as lit, unit hands."""
FINGER_RADIUS = 0.1
"""Radius of a finger around a joint, unit hands."""


@dataclass(frozen=True, slots=True)
class ShadowMap:
    """Shadow maps of N hands."""

    turn: torch.Tensor
    """(N, 3, 3) R_light_from_camera."""
    low: torch.Tensor
    """(N, 3) the hand's least coordinates in the light's axes."""
    scale: torch.Tensor
    """(N,) px per unit hand."""
    nearest: torch.Tensor
    """(N · size²,) depth behind `low`, plus 1; 1e3 where there is no hand."""
    size: int
    """px."""

    @classmethod
    def cast(cls, vertices: torch.Tensor, faces: torch.Tensor, towards: torch.Tensor, size: int) -> "ShadowMap":
        """Shadow maps of hands (N, V, 3) for lights in directions `towards` (N, 3), camera axes."""
        turn = turn_to_axis(torch.where(towards[:, 2:] > -0.98, -towards, -towards + 0.2))
        in_light = vertices @ turn.transpose(1, 2)
        low, high = in_light.amin(1), in_light.amax(1)
        scale = (size - 3) / (high - low)[:, :2].amax(1)
        pixels = (in_light[..., :2] - low[:, None, :2]) * scale[:, None, None] + 1
        fragments = rasterise(pixels, in_light[..., 2] - low[:, None, 2] + 1, faces, (size, size))
        return cls(turn, low, scale, fragments.dense(fragments.depth[:, None], 1e3).flatten(), size)

    def lit(self, image: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """(K,) share of the light that reaches the points `position` (K, 3) of `image` (K,)."""
        turn = self.turn.index_select(0, image)
        place = turn[..., 0] * position[:, :1] + turn[..., 1] * position[:, 1:2] + turn[..., 2] * position[:, 2:]
        place = place - self.low.index_select(0, image)
        depth = place[:, 2] + (1 - SHADOW_BIAS)
        corner = (place[:, :2] * self.scale.index_select(0, image)[:, None] + 1).floor().long().clamp(0, self.size - 2)
        first = (image * self.size + corner[:, 1]) * self.size + corner[:, 0]
        lit = torch.zeros_like(depth)
        for step in (0, 1, self.size, self.size + 1):
            lit += depth < self.nearest.index_select(0, first + step)
        return lit / 4

    def on_planes(
        self, image: torch.Tensor, normal: torch.Tensor, point: torch.Tensor, focal: torch.Tensor, side: int
    ) -> torch.Tensor:
        """(M, 1, side, side) share of the light that reaches a plane in each of the images `image` (M,), 1 off the plane.

        The planes have `normal` (M, 3), towards the camera, and go through `point` (M, 3), camera axes, for cameras of
        `focal` (M,) px.
        """
        slope = (torch.arange(side, device=focal.device) - (side - 1) / 2) / focal[:, None]
        # Rate at which a ray approaches the plane, from its slopes along x and y.
        rate = normal[:, 0, None, None] * slope[:, None] + normal[:, 1, None, None] * slope[..., None] + normal[:, 2, None, None]
        depth = ((normal * point).sum(1)[:, None, None] / rate.clamp_max(-1e-3)).clamp(0, 100)
        position = torch.stack([slope[:, None] * depth, slope[..., None] * depth, depth], -1)
        lit = self.lit(image.repeat_interleave(side * side), position.view(-1, 3)).view(-1, side, side)
        return torch.where(rate < -1e-3, lit, 1.0)[:, None]


class Rendered(NamedTuple):
    """N hands, rendered alone."""

    light: torch.Tensor
    """(N, 3, H, W) linear RGB, 0 where there is no hand."""
    alpha: torch.Tensor
    """(N, 1, H, W) share of each pixel that the hand covers."""
    depth: torch.Tensor
    """(N, 1, H, W) along the camera's z axis, 1e3 where there is no hand."""
    rest: torch.Tensor | None
    """(N, 3, H, W) position of the surface on the rest hand, hand axes, 0 where there is no hand; None with `per_vertex`."""
    shadow: ShadowMap
    """Shadow map of the first light."""


def render(
    model: HandModel,
    vertices: torch.Tensor,
    pixels: torch.Tensor,
    size: tuple[int, int],
    appearance: Appearance,
    lights: Lights,
    *,
    samples: Literal[1, 2] = 2,
    per_vertex: bool = False,
    objects: SceneObjects | None = None,
) -> Rendered:
    """Render N posed hands.

    `vertices` (N, V, 3) in camera axes, unit hands; `pixels` (N, V, 2) their projections; `size` (height, width).
    A pixel is the mean of its four corners, which it shares with its neighbours: one sample per pixel, and antialiased edges;
    with `samples` 1 it is its centre. `objects` cast shadows on the hands, but do not occlude them. With `per_vertex`
    light is computed at the vertices instead of at every pixel: coarser, and many times faster where a hand covers many pixels.
    """
    n, count, _ = vertices.shape
    faces = model.faces
    corners = samples - 1
    fragments = rasterise(pixels + corners / 2, vertices[..., 2], faces, (size[0] + corners, size[1] + corners))
    normals = vertex_normals(vertices, faces)
    areas = model.regions | {"tip": _fingertips(model)}
    still = torch.cat([model.vertices, *(values[:, None] for values in areas.values())], 1)
    if per_vertex:
        image = torch.arange(n, device=vertices.device).repeat_interleave(count)
        position, normal, surface = vertices.flatten(0, 1), normals.flatten(0, 1), still.repeat(n, 1)
        ambient_visibility = torch.ones_like(position[:, 0])
    else:
        image, surface = fragments.image, fragments.interpolate(still, faces)
        position, normal = fragments.interpolate(torch.cat([vertices, normals], -1), faces).split(3, 1)
        ambient_visibility = _ambient_visibility(fragments)
    regions = {name: surface[:, 3 + k : 4 + k] for k, name in enumerate(areas)}
    matter = albedo(appearance, image, surface[:, :3], regions, model.joints)
    shadow = ShadowMap.cast(vertices, faces, lights.direction[:, 0], min(max(size), SHADOW_SIDE))
    normal = normalize(normal, dim=1)
    lit = shadow.lit(image, position + SHADOW_LIFT * normal)
    if objects is not None:
        lit = lit * ~objects.occludes(image, position, lights.direction[image, 0])
        ambient_visibility = ambient_visibility * objects.ambient_visibility(image, position)
    light = shade(lights, matter.gloss, image, normal, position, matter.colour, matter.skin, lit, ambient_visibility)
    if per_vertex:
        light = fragments.interpolate(light.view(n, count, 3), faces)
    light = fragments.dense(torch.cat([light, torch.ones_like(light[:, :1])], 1)).permute(0, 3, 1, 2)
    depth = fragments.dense(fragments.depth[:, None], 1e3).permute(0, 3, 1, 2)
    rest = None if per_vertex else fragments.dense(surface[:, :3]).permute(0, 3, 1, 2)
    if corners:
        nearest = _over_corners(torch.minimum, depth)
        rest = None if rest is None else _of_nearest_corners(rest, depth, nearest)
        light, depth = _over_corners(torch.add, light) / 4, nearest
    alpha = light[:, 3:]
    return Rendered(light[:, :3] / alpha.clamp_min(0.25), alpha, depth, rest, shadow)


def _over_corners(both: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) from the values (N, C, H + 1, W + 1) at the corners of pixels, reduced by `both` pairwise."""
    rows = both(image[:, :, :-1], image[:, :, 1:])
    return both(rows[..., :-1], rows[..., 1:])


def _of_nearest_corners(image: torch.Tensor, depth: torch.Tensor, nearest: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) means over those corners of a pixel that lie on the nearest surface, from values at corners."""
    height, width = nearest.shape[2:]
    total, count = torch.zeros_like(nearest), torch.zeros_like(nearest)
    for y in (0, 1):
        for x in (0, 1):
            same = (depth[:, :, y : y + height, x : x + width] < nearest + 0.1).float()
            total = total + same * image[:, :, y : y + height, x : x + width]
            count += same
    return total / count


def render_objects(
    objects: SceneObjects,
    joints: torch.Tensor,
    focal: torch.Tensor,
    side: int,
    lights: Lights,
    shadow: ShadowMap,
    prints: torch.Tensor,
) -> ObjectLayer:
    """Render the objects around N hands; the hands do not occlude them, but cast their `shadow` on them.

    `joints` (N, 21, 3) camera axes; `focal` (N,) px of images of `side` px; `prints` (N, 3, T, T) linear light, textures of
    printed objects.
    """
    pixels = objects.visible_pixels(focal, side)
    image = pixels.cell // side**2
    away = (pixels.position[:, None] - joints[image]).square().sum(-1).amin(1).sqrt() - FINGER_RADIUS
    return objects.render(pixels, side, lights, prints, shadow.lit(image, pixels.position), contact(away))


def _fingertips(model: HandModel) -> torch.Tensor:
    """(V,) closeness of each vertex of the rest hand to a fingertip, in [0, 1]."""
    return torch.exp(-((torch.cdist(model.vertices, model.joints[list(TIPS)]).amin(1) / 0.16) ** 2))


def _ambient_visibility(fragments: Fragments) -> torch.Tensor:
    """(K,) share of the ambient light, less where the surface lies deeper than its surroundings in the depth image."""
    n, height, width = fragments.shape
    depth = fragments.dense(fragments.depth[:, None]).view(n, 1, height, width)
    both = torch.cat([depth, (depth > 0).to(depth.dtype)], 1)
    hidden = torch.zeros_like(depth)
    for radius in (1, 3):
        mean, covered = box_blur(both, radius * height // 32).split(1, 1)
        hidden += ((depth - mean / covered.clamp_min(1e-6)) / 0.35).clamp(0, 0.45)
    return 1 - hidden.flatten()[fragments.cell]


def box_blur(image: torch.Tensor, radius: int) -> torch.Tensor:
    """(N, C, H, W) means over about (2 radius + 1)² pixels.

    Taken at a quarter of the resolution, since pooling over wide windows is slow on a CPU.
    """
    height, width = image.shape[2:]
    small = avg_pool2d(image, 4, ceil_mode=True)
    kernel = max(1, radius // 4) * 2 + 1
    small = avg_pool2d(avg_pool2d(small, (1, kernel), 1, (0, kernel // 2)), (kernel, 1), 1, (kernel // 2, 0))
    return interpolate(small, scale_factor=4.0, mode="bilinear", align_corners=False)[..., :height, :width]
