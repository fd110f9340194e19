"""Rendering of objects before, in and behind the hand: shading, shadows on the hand, occlusion."""

from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch

from hand.synth.light import Lights, shade
from hand.synth.superquadrics import Superquadrics

_DEPTH_STEPS = 1 << 20
_EMPTY = torch.iinfo(torch.int64).max
CONTACT = 0.25
"""Distance within which a hand and a thing take the sky's light from each other, unit hands."""


class ThingLayer(NamedTuple):
    """The things of N images, alone."""

    light: torch.Tensor
    """(N, 3, S, S) linear RGB, 0 where there is none."""
    alpha: torch.Tensor
    """(N, 1, S, S) share of each pixel that things cover."""
    depth: torch.Tensor
    """(N, 1, S, S) along the camera's z axis, 1e3 where there is none."""

    def around(
        self, light: torch.Tensor, alpha: torch.Tensor, depth: torch.Tensor, place: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hands and things before a `place` (N, 3, S, S), the nearer before the farther, and the depth of what is in front.

        `light` (N, 3, S, S), `alpha` and `depth` (N, 1, S, S) are the hands', as `hand.synth.render.Rendered` has them.
        """
        before = self.depth < depth
        scene = torch.lerp(place, self.light, self.alpha * ~before)
        scene = torch.lerp(scene, light, alpha)
        hides = self.alpha * before
        return torch.lerp(scene, self.light, hides), torch.where(hides > 0.5, self.depth, depth)


class ThingPixels(NamedTuple):
    """The K pixels that things cover."""

    cell: torch.Tensor
    """(K,) flat index into (N, S, S)."""
    row: torch.Tensor
    """(K,) which body."""
    position: torch.Tensor
    """(K, 3) the surface, camera axes."""
    coverage: torch.Tensor
    """(K,) share of the pixel."""


@dataclass(frozen=True, slots=True)
class Things:
    """Up to B bodies in each of N images, row n·B + b of `bodies` in image n."""

    bodies: Superquadrics
    """N·B of them."""
    exists: torch.Tensor
    """(N, B) bool."""
    colour: torch.Tensor
    """(N·B, 3) linear."""
    printed: torch.Tensor
    """(N·B,) how much of its colour comes from a print, in [0, 1]."""
    gloss: torch.Tensor
    """(N·B, 2) strength and exponent of the highlight."""

    def blocks(self, image: torch.Tensor, position: torch.Tensor, towards: torch.Tensor) -> torch.Tensor:
        """(K,) bool: a body stands between `position` (K, 3) in `image` (K,) and the light in direction `towards` (K, 3)."""
        blocked = torch.zeros(len(image), dtype=torch.bool, device=image.device)
        at, row = self._pairs(image)
        near = _passes(self.bodies, row, position[at], towards[at])
        at, row = at[near], row[near]
        # A little off the surface, so that what touches a body does not stand within it.
        met = self.bodies[row].trace(position[at] + 0.03 * towards[at], towards[at])
        blocked[at[met < 100]] = True
        return blocked

    def openness(self, image: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """(K,) share of the sky's light that bodies leave to the places `position` (K, 3) in `image` (K,)."""
        at, row = self._pairs(image)
        close = (self.bodies.centre[row] - position[at]).norm(dim=1) < self.bodies.half[row].norm(dim=1) + CONTACT
        at, row = at[close], row[close]
        away = self.bodies[row].distance(position[at][:, None])[:, 0]
        nearest = torch.full_like(position[:, 0], CONTACT).scatter_reduce_(0, at, away, "amin")
        return contact(nearest)

    def _pairs(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Every place in `image` (K,) with every body of its image: indices of the places, rows of the bodies."""
        at, slot = self.exists[image].nonzero().unbind(1)
        return at, image[at] * self.exists.shape[1] + slot

    def seen(self, focal: torch.Tensor, side: int) -> ThingPixels:
        """What cameras of `focal` (N,) px, their pictures `side` px wide, see of the bodies.

        Rays go through the corners of the pixels; the nearest of a pixel's four stands for it.
        """
        n, count = self.exists.shape
        device = focal.device
        corners = side + 1
        rows = self.exists.flatten().nonzero()[:, 0]
        image = rows // count
        slope = (torch.arange(corners, device=device) - side / 2) / focal[image, None]
        some = _in_sight(self.bodies[rows], slope)
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
        return ThingPixels(cell, nearest[cell] & 0xFFFF, ray * depth[:, None], coverage)

    def draw(
        self, pixels: ThingPixels, side: int, lights: Lights, prints: torch.Tensor, lit: torch.Tensor, open_sky: torch.Tensor
    ) -> ThingLayer:
        """Light what is `seen`; `prints` (N, 3, T, T) linear; `lit`, `open_sky` (K,) as `hand.synth.light.shade` takes them."""
        n, count = self.exists.shape
        row, image = pixels.row, pixels.row // count
        bodies = self.bodies[row]
        normal = bodies.normals(pixels.position)
        local = bodies.local(pixels.position[:, None])[:, 0] * bodies.half
        colour = torch.lerp(self.colour[row], _printed(prints, image, local, bodies.half), self.printed[row, None])
        matter = torch.zeros_like(lit)
        light = shade(lights, self.gloss[row], image, normal, pixels.position, colour, matter, lit, open_sky)
        values = torch.cat([light, pixels.coverage[:, None], pixels.position[:, 2:]], 1)
        image = values.new_zeros(n * side**2, 5)
        image[:, 4] = 1e3
        image[pixels.cell] = values
        return ThingLayer(*image.view(n, side, side, 5).permute(0, 3, 1, 2).split((3, 1, 1), 1))


def contact(distance: torch.Tensor) -> torch.Tensor:
    """Share of the sky's light that is left at a `distance` (...) from something else, unit hands."""
    return 0.4 + 0.6 * (distance / CONTACT).clamp(0, 1)


def _passes(bodies: Superquadrics, row: torch.Tensor, origin: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """(K,) bool: the line from `origin` along unit `direction` (K, 3) comes near the body of `row` (K,)."""
    away = bodies.centre[row] - origin
    ahead = (away * direction).sum(1)
    return away.square().sum(1) - ahead.square() < bodies.half[row].square().sum(1)


def _in_sight(bodies: Superquadrics, x: torch.Tensor) -> torch.Tensor:
    """Flat indices into (M, F, F) of the rays that come near each of the M bodies; `x` (M, F) their slopes along either axis."""
    centre, reach = bodies.centre, bodies.half.square().sum(1)
    ahead = centre[:, 0, None, None] * x[:, None] + centre[:, 1, None, None] * x[:, :, None] + centre[:, 2, None, None]
    length = x.square()[:, None] + x.square()[:, :, None] + 1
    room = (centre.square().sum(1) - reach)[:, None, None]
    return ((ahead * ahead > room * length) & (ahead > 0)).flatten().nonzero()[:, 0]


def _printed(prints: torch.Tensor, image: torch.Tensor, local: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """(K, 3) colours of pictures laid onto the bodies: around them on their sides, flat on their ends; `local` (K, 3)."""
    side = local[:, :2].abs() / half[:, :2]
    flat = torch.where(side[:, :1] > side[:, 1:], local[:, 1:2], local[:, :1])
    place = torch.cat([flat, local[:, 2:]], 1)
    place = (place * 0.8 + 1) % 2 - 1
    size = prints.shape[-1]
    column, line = ((place + 1) / 2 * size).long().clamp(0, size - 1).unbind(1)
    return prints[image, :, line, column]
