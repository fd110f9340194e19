"""Superquadrics: spheres, boxes, cylinders, pens and cards in one formula, ray-traced without a mesh (Barr 1981)."""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

_STEPS = 7
"""Newton steps per ray; from the bounding box they converge to a hundredth of the surface even for sharp edges."""
_MISS = 1e3


@dataclass(frozen=True, slots=True)
class Superquadrics:
    """M convex bodies in axes of their own.

    In its axes a body is the set where the gauge ((|x/a|^p + |y/b|^p)^(q/p) + |z/c|^q)^(1/q) is at most 1; p = q = 2 is an
    ellipsoid, p = 2 with a large q a cylinder, both large a box.
    """

    turn: torch.Tensor
    """(M, 3, 3) R_body_from_camera."""
    centre: torch.Tensor
    """(M, 3) camera axes, unit hands."""
    half: torch.Tensor
    """(M, 3) half axes a, b, c, unit hands."""
    power: torch.Tensor
    """(M, 2) p around the z axis, q along it, at least 2."""

    def __getitem__(self, pick: torch.Tensor) -> "Superquadrics":
        return Superquadrics(self.turn[pick], self.centre[pick], self.half[pick], self.power[pick])

    def local(self, points: torch.Tensor) -> torch.Tensor:
        """(M, J, 3) points (M, J, 3) in body axes, in half axes: the bounding box is from −1 to 1."""
        return ((points - self.centre[:, None]) @ self.turn.mT) / self.half[:, None]

    def gauge(self, points: torch.Tensor) -> torch.Tensor:
        """(M, J) of points (M, J, 3) in camera axes: 0 at the centre, 1 on the surface, growing evenly outwards."""
        return _gauge(self.local(points), self.power[:, None])[0]

    def distance(self, points: torch.Tensor) -> torch.Tensor:
        """(M, J) lower bounds of the distance of points (M, J, 3) outside from the surface, exact for a plane; negative inside.

        A convex gauge lies above its tangents, hence (gauge − 1) / slope.
        """
        value, slope = _gauge(self.local(points), self.power[:, None])
        return (value - 1) / (slope / self.half[:, None]).norm(dim=-1)

    def normals(self, points: torch.Tensor) -> torch.Tensor:
        """(M, 3) outward unit normals in camera axes at one surface point (M, 3) of each body."""
        local = self.local(points[:, None])[:, 0]
        _, slope = _gauge(local, self.power)
        return normalize(((slope / self.half)[:, None] @ self.turn)[:, 0], dim=1)

    def trace(self, origin: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """(M,) ray parameter, in units of `direction` (M, 3) from `origin` (M, 3), of the first hit of the body, 1e3 for a miss.

        The gauge is convex along a ray: Newton steps from the ray's entry into the bounding box approach the surface from
        outside and never pass it. An origin within the bounding box counts as one on its border.
        """
        start = self.local(origin[:, None])[:, 0]
        along = (direction[:, None] @ self.turn.mT)[:, 0] / self.half
        inverse = 1 / torch.where(along.abs() < 1e-9, torch.full_like(along, 1e-9), along)
        first, second = (-1 - start) * inverse, (1 - start) * inverse
        enters, leaves = torch.minimum(first, second).amax(1), torch.maximum(first, second).amin(1)
        met = torch.full_like(enters, _MISS)
        alive = ((enters < leaves) & (leaves > 0)).nonzero()[:, 0]
        start, along, power, leaves = start[alive], along[alive], self.power[alive], leaves[alive]
        t = enters[alive].clamp_min(0)
        for _ in range(_STEPS):
            value, slope = _gauge(start + t[:, None] * along, power)
            rate = (slope * along).sum(1)
            # Where the gauge grows again above 1, the ray misses: it moves so far away that no step brings it back.
            step = torch.where(rate < 0, (value - 1) / -rate.clamp_max(-1e-6), torch.where(value > 1, _MISS, 0.0))
            t = (t + step.clamp_min(0)).clamp_max(_MISS)
        met[alive] = torch.where(t < leaves + 1e-3, t, torch.full_like(t, _MISS))
        return met


def _gauge(local: torch.Tensor, power: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (...) of the gauge at points (..., 3) in half axes, and its slopes (..., 3); `power` (..., 2)."""
    p, q = power.unbind(-1)
    # Powers by logarithm and exponential take half of the time of torch's pow.
    x, y, z = local.abs().clamp_min(1e-4).unbind(-1)
    xp, yp, zq = (x.log() * p).exp(), (y.log() * p).exp(), (z.log() * q).exp()
    ring = xp + yp
    ring_q = (ring.log() * (q / p)).exp()
    total = ring_q + zq
    value = (total.log() / q).exp()
    # d value / dx = value / total · ring^(q/p − 1) · x^(p − 1), and so on.
    common = value / total
    around = common * ring_q / ring
    slope = torch.stack([around * xp / x, around * yp / y, common * zq / z], -1)
    return value, slope * local.sign()
