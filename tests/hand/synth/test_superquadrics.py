"""A traced ray ends on the first surface that it hits, or misses."""

import pytest
import torch

from hand.synth.aim import random_rotations
from hand.synth.superquadrics import Superquadrics

CPU = torch.device("cpu")


def bodies(n: int, seed: int = 0) -> Superquadrics:
    """All kinds, of sizes 0.05 to 1, around (0, 0, 5)."""
    random = torch.Generator().manual_seed(seed)
    centre = torch.rand(n, 3, generator=random) + torch.tensor([-0.5, -0.5, 4.5])
    half = 0.05 + 0.95 * torch.rand(n, 3, generator=random)
    return Superquadrics(random_rotations(n, random, CPU), centre, half, 2 + 10 * torch.rand(n, 2, generator=random))


def plain(half: tuple[float, float, float], power: tuple[float, float]) -> Superquadrics:
    """One body at (0, 0, 5), its axes those of the camera."""
    return Superquadrics(torch.eye(3)[None], torch.tensor([[0.0, 0, 5]]), torch.tensor([half]), torch.tensor([power]))


def rays(shape: Superquadrics, seed: int = 1) -> torch.Tensor:
    """(M, 3) directions from the camera to points near the bodies, some of which miss them."""
    spread = torch.randn(len(shape.centre), 3, generator=torch.Generator().manual_seed(seed)) * 0.4
    return (shape.centre + spread) / (shape.centre + spread)[:, 2:]


def test_traced_rays_end_on_the_first_surface_point():
    shape = bodies(2000)
    direction = rays(shape)
    met = shape.trace(torch.zeros(2000, 3), direction)
    hits = met < 100
    assert 0.2 < hits.float().mean() < 0.95
    way = direction[:, None] * met[:, None, None] * torch.linspace(0, 1, 200)[:, None]
    gauge = shape.gauge(way)[hits]
    assert (gauge[:, -1] - 1).abs().quantile(0.99) < 0.02
    assert gauge[:, :-1].min() > 0.98


def test_missed_rays_stay_outside_all_bodies():
    shape = bodies(2000)
    direction = rays(shape)
    missed = shape.trace(torch.zeros(2000, 3), direction) > 100
    way = direction[:, None] * torch.linspace(3, 8, 400)[:, None]
    assert shape.gauge(way)[missed].amin(1).quantile(0.01) > 0.97


def test_bodies_behind_the_origin_are_not_hit():
    shape = bodies(200)
    assert (shape.trace(torch.zeros(200, 3), -rays(shape)) > 100).all()


@pytest.mark.parametrize(
    ("half", "power", "point"),
    [
        ((0.5, 0.5, 0.5), (2.0, 2.0), (0.0, 0.0, 4.5)),
        ((0.3, 0.7, 0.2), (12.0, 12.0), (0.1, -0.3, 4.8)),
        ((0.3, 0.3, 1.0), (2.0, 12.0), (0.2, 0.1, 4.0)),
    ],
)
def test_rays_hit_spheres_boxes_and_cylinders_at_the_analytic_point(half, power, point):
    surface = torch.tensor([point])
    met = plain(half, power).trace(torch.zeros(1, 3), surface / surface[:, 2:])
    assert met.item() == pytest.approx(point[2], abs=0.01)


def test_gauge_grows_linearly_from_the_centre():
    shape = bodies(300)
    point = shape.centre + torch.randn(300, 3, generator=torch.Generator().manual_seed(2)) * 0.3
    twice = 2 * point - shape.centre
    torch.testing.assert_close(shape.gauge(twice[:, None]), 2 * shape.gauge(point[:, None]), rtol=2e-3, atol=1e-3)


def test_normals_are_the_gradient_of_the_gauge():
    shape = bodies(300)
    outside = shape.centre + torch.randn(300, 3, generator=torch.Generator().manual_seed(3))
    surface = shape.centre + (outside - shape.centre) / shape.gauge(outside[:, None])
    normal = shape.normals(surface)
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(300))
    shift = torch.nn.functional.normalize(torch.randn(300, 3, generator=torch.Generator().manual_seed(4)), dim=1) * 1e-4
    sideways = shift - (shift * normal).sum(1, keepdim=True) * normal
    change = (
        shape.gauge((surface + v)[:, None])[:, 0] - shape.gauge((surface - v)[:, None])[:, 0] for v in (sideways, normal * 1e-4)
    )
    across, outwards = change
    assert (outwards > 0).all()
    assert (across.abs() < 0.2 * outwards).float().mean() > 0.95
