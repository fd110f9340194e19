"""Rendering of objects in front of, in and behind the hand: shading, shadows on the hand, occlusion."""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch

from hand.synth.light import Lights, shade
from hand.synth.superquadrics import Superquadrics

_DEPTH_STEPS = 1 << 20
_EMPTY = torch.iinfo(torch.int64).max
CONTACT = 0.25
"""Distance within which a hand and an object occlude each other's ambient light, unit hands."""


class ObjectLayer(NamedTuple):
    """Objects of N images, rendered without the hands."""

    light: torch.Tensor
    """(N, 3, S, S) linear RGB, 0 where there is none."""
    alpha: torch.Tensor
    """(N, 1, S, S) share of each pixel that objects cover."""
    depth: torch.Tensor
    """(N, 1, S, S) along the camera's z axis, 1e3 where there is none."""

    def composite(
        self, light: torch.Tensor, alpha: torch.Tensor, depth: torch.Tensor, background: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hands and objects over a `background` (N, 3, S, S) in depth order, and the depth of the nearest surface.

        `light` (N, 3, S, S), `alpha` and `depth` (N, 1, S, S) are those of the hands, as in `hand.synth.render.Rendered`.
        """
        before = self.depth < depth
        scene = torch.lerp(background, self.light, self.alpha * ~before)
        scene = torch.lerp(scene, light, alpha)
        hides = self.alpha * before
        return torch.lerp(scene, self.light, hides), torch.where(hides > 0.5, self.depth, depth)


class ObjectPixels(NamedTuple):
    """The K pixels that objects cover."""

    cell: torch.Tensor
    """(K,) flat index into (N, S, S)."""
    row: torch.Tensor
    """(K,) index of the body."""
    position: torch.Tensor
    """(K, 3) surface point, camera axes."""
    coverage: torch.Tensor
    """(K,) share of the pixel that is covered."""


@dataclass(frozen=True, slots=True)
class SceneObjects:
    """Up to B bodies in each of N images, row n·B + b of `bodies` in image n."""

    bodies: Superquadrics
    """N·B bodies."""
    exists: torch.Tensor
    """(N, B) bool."""
    colour: torch.Tensor
    """(N·B, 3) linear."""
    printed: torch.Tensor
    """(N·B,) share of the colour that comes from a print, in [0, 1]."""
    gloss: torch.Tensor
    """(N·B, 2) strength and exponent of the highlight."""

    def occludes(self, image: torch.Tensor, position: torch.Tensor, towards: torch.Tensor) -> torch.Tensor:
        """(K,) bool: a body stands between `position` (K, 3) in `image` (K,) and the light in direction `towards` (K, 3)."""
        blocked = torch.zeros(len(image), dtype=torch.bool, device=image.device)
        at, row = self._pairs(image)
        near = _near_body(self.bodies, row, position[at], towards[at])
        at, row = at[near], row[near]
        # Starts off the surface, so that points in contact with a body are not within it.
        met = self.bodies[row].trace(position[at] + 0.03 * towards[at], towards[at])
        blocked[at[met < 100]] = True
        return blocked

    def ambient_visibility(self, image: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """(K,) share of the ambient light that reaches `position` (K, 3) in `image` (K,) past the bodies."""
        at, row = self._pairs(image)
        close = (self.bodies.centre[row] - position[at]).norm(dim=1) < self.bodies.half[row].norm(dim=1) + CONTACT
        at, row = at[close], row[close]
        away = self.bodies[row].distance(position[at][:, None])[:, 0]
        nearest = torch.full_like(position[:, 0], CONTACT).scatter_reduce_(0, at, away, "amin")
        return contact(nearest)

    def _pairs(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each point in `image` (K,) with each body of its image: indices of the points, rows of the bodies."""
        at, slot = self.exists[image].nonzero().unbind(1)
        return at, image[at] * self.exists.shape[1] + slot

    def visible_pixels(self, focal: torch.Tensor, side: int) -> ObjectPixels:
        """Pixels that the bodies cover for cameras of `focal` (N,) px with images of `side` px.

        Rays go through the corners of the pixels; a pixel takes the nearest of its four hits.
        """
        n, count = self.exists.shape
        device = focal.device
        corners = side + 1
        rows = self.exists.flatten().nonzero()[:, 0]
        image = rows // count
        slope = (torch.arange(corners, device=device) - side / 2) / focal[image, None]
        some = _candidate_rays(self.bodies[rows], slope)
        number, spot = some // corners**2, some % corners**2
        ray = torch.stack([slope[number, spot % corners], slope[number, spot // corners], torch.ones_like(spot).float()], 1)
        depth = self.bodies[rows[number]].trace(torch.zeros_like(ray), ray)
        hit = ((depth > 0.05) & (depth < 100)).nonzero()[:, 0]
        key = ((depth[hit] * _DEPTH_STEPS).long() << 16) | rows[number[hit]]
        best = torch.full((n * corners**2,), _EMPTY, dtype=torch.int64, device=device)
        best.scatter_reduce_(0, image[number[hit]] * corners**2 + spot[hit], key, "amin")

        grid = best.view(n, corners, corners)
        points = [grid[:, i : i + side, j : j + side].flatten() for i in (0, 1) for j in (0, 1)]
        nearest = reduce(torch.minimum, points)
        cell = (nearest != _EMPTY).nonzero()[:, 0]
        coverage = torch.stack([point[cell] != _EMPTY for point in points]).float().mean(0)
        depth = (nearest[cell] >> 16).float() / _DEPTH_STEPS
        image, spot = cell // side**2, cell % side**2
        flat = torch.stack([spot % side, spot // side], 1) - (side - 1) / 2
        ray = torch.cat([flat / focal[image, None], torch.ones_like(flat[:, :1])], 1)
        return ObjectPixels(cell, nearest[cell] & 0xFFFF, ray * depth[:, None], coverage)

    def render(
        self,
        pixels: ObjectPixels,
        side: int,
        lights: Lights,
        prints: torch.Tensor,
        lit: torch.Tensor,
        ambient_visibility: torch.Tensor,
    ) -> ObjectLayer:
        """Shade `pixels`; `prints` (N, 3, T, T) linear; `lit`, `ambient_visibility` (K,) as in `hand.synth.light.shade`."""
        n, count = self.exists.shape
        row, image = pixels.row, pixels.row // count
        bodies = self.bodies[row]
        normal = bodies.normals(pixels.position)
        local = bodies.local(pixels.position[:, None])[:, 0] * bodies.half
        colour = torch.lerp(self.colour[row], _print_colour(prints, image, local, bodies.half), self.printed[row, None])
        matter = torch.zeros_like(lit)
        light = shade(lights, self.gloss[row], image, normal, pixels.position, colour, matter, lit, ambient_visibility)
        values = torch.cat([light, pixels.coverage[:, None], pixels.position[:, 2:]], 1)
        image = values.new_zeros(n * side**2, 5)
        image[:, 4] = 1e3
        image[pixels.cell] = values
        return ObjectLayer(*image.view(n, side, side, 5).permute(0, 3, 1, 2).split((3, 1, 1), 1))


def contact(distance: torch.Tensor) -> torch.Tensor:
    """Share of the ambient light that is left at a `distance` (...) from another surface, unit hands."""
    return 0.4 + 0.6 * (distance / CONTACT).clamp(0, 1)


def _near_body(bodies: Superquadrics, row: torch.Tensor, origin: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """(K,) bool: the line from `origin` along unit `direction` (K, 3) meets the bounding sphere of its body."""
    away = bodies.centre[row] - origin
    ahead = (away * direction).sum(1)
    return away.square().sum(1) - ahead.square() < bodies.half[row].square().sum(1)


def _candidate_rays(bodies: Superquadrics, x: torch.Tensor) -> torch.Tensor:
    """Flat indices into (M, F, F) of rays through each body's bounding sphere; `x` (M, F) their slopes along either axis."""
    centre, reach = bodies.centre, bodies.half.square().sum(1)
    ahead = centre[:, 0, None, None] * x[:, None] + centre[:, 1, None, None] * x[:, :, None] + centre[:, 2, None, None]
    length = x.square()[:, None] + x.square()[:, :, None] + 1
    room = (centre.square().sum(1) - reach)[:, None, None]
    return ((ahead * ahead > room * length) & (ahead > 0)).flatten().nonzero()[:, 0]


def _print_colour(prints: torch.Tensor, image: torch.Tensor, local: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """(K, 3) colours of textures mapped onto the bodies, wrapped around their sides and flat on their ends; `local` (K, 3)."""
    side = local[:, :2].abs() / half[:, :2]
    flat = torch.where(side[:, :1] > side[:, 1:], local[:, 1:2], local[:, :1])
    place = torch.cat([flat, local[:, 2:]], 1)
    place = (place * 0.8 + 1) % 2 - 1
    size = prints.shape[-1]
    column, line = ((place + 1) / 2 * size).long().clamp(0, size - 1).unbind(1)
    return prints[image, :, line, column]
