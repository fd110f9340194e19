"""Things hide what is behind them, keep light from it, and nothing else."""

import pytest
import torch

from hand.synth.light import sample_lights
from hand.synth.objects import CONTACT, SceneObjects
from hand.synth.superquadrics import Superquadrics

SIDE, FOCAL = 40, 60.0


def balls(places: list[list[tuple[float, float, float, float]]], colour: float = 0.5) -> SceneObjects:
    """Per image the same number of balls, x, y, z and radius, of one grey."""
    flat = torch.tensor(places).flatten(0, 1)
    rows = len(flat)
    bodies = Superquadrics(
        torch.eye(3).repeat(rows, 1, 1), flat[:, :3], flat[:, 3:].expand(-1, 3).contiguous(), torch.full((rows, 2), 2.0)
    )
    exists = torch.ones(len(places), len(places[0]), dtype=torch.bool)
    return SceneObjects(
        bodies, exists, torch.full((rows, 3), colour), torch.zeros(rows), torch.tensor([[0.0, 10.0]]).repeat(rows, 1)
    )


def focal(n: int) -> torch.Tensor:
    return torch.full((n,), FOCAL)


def drawn(objects: SceneObjects, lit: float = 1.0, seed: int = 0):
    """The layer, evenly lit."""
    n = len(objects.exists)
    pixels = objects.visible_pixels(focal(n), SIDE)
    lights = sample_lights(n, torch.Generator().manual_seed(seed), torch.device("cpu"))
    ones = torch.ones_like(pixels.coverage)
    return objects.render(pixels, SIDE, lights, torch.full((n, 3, 8, 8), 0.9), ones * lit, ones)


def test_a_ball_is_seen_as_large_as_it_is_and_where_it_is():
    layer = drawn(balls([[(0.2, -0.1, 4.0, 0.4)], [(0.0, 0.0, 4.0, 0.8)]]))
    radius = torch.asin(torch.tensor([0.4, 0.8]) / 4).tan() * FOCAL
    torch.testing.assert_close(layer.alpha.sum((1, 2, 3)), torch.pi * radius**2, rtol=0.06, atol=0)
    y, x = torch.meshgrid(torch.arange(SIDE).float(), torch.arange(SIDE).float(), indexing="ij")
    middle = torch.stack([(layer.alpha[0, 0] * v).sum() / layer.alpha[0].sum() for v in (x, y)])
    expected = torch.tensor([0.2, -0.1]) / 4 * FOCAL + (SIDE - 1) / 2
    torch.testing.assert_close(middle, expected, atol=0.3, rtol=0)
    assert layer.depth[0].min() == pytest.approx(3.6, abs=0.01)


def test_there_is_light_and_depth_where_a_thing_is_and_nowhere_else():
    layer = drawn(balls([[(0.0, 0.0, 4.0, 0.5)]]))
    covered = layer.alpha > 0
    assert ((layer.depth < 100) == covered).all()
    assert (layer.light.sum(1, keepdim=True)[~covered] == 0).all()
    assert layer.light.isfinite().all() and (layer.light[:, :1][covered] > 0).all()


def test_of_two_things_the_nearer_one_is_seen():
    near, far = (0.0, 0.0, 3.0, 0.3), (0.0, 0.0, 6.0, 0.9)
    for order in ([near, far], [far, near]):
        layer = drawn(balls([order]))
        assert layer.depth[0, 0, SIDE // 2, SIDE // 2] == pytest.approx(2.7, abs=0.01)
        assert layer.depth[0, 0, SIDE // 2, SIDE // 2 + 8] > 5


def test_what_does_not_exist_or_lies_behind_the_camera_is_not_seen():
    behind = balls([[(0.0, 0.0, -4.0, 0.5)]])
    none = balls([[(0.0, 0.0, 4.0, 0.5)]])
    none.exists[:] = False
    for objects in (behind, none):
        assert (drawn(objects).alpha == 0).all()


def test_things_of_one_image_do_not_show_in_another():
    left, right = (-0.6, 0.0, 4.0, 0.3), (0.6, 0.0, 4.0, 0.3)
    both, alone = drawn(balls([[left], [right]])), [drawn(balls([[place]])) for place in (left, right)]
    for number in range(2):
        assert torch.equal(both.alpha[number], alone[number].alpha[0])


def test_a_thing_between_a_place_and_the_light_keeps_the_light_away():
    objects = balls([[(0.0, -1.0, 4.0, 0.3)], [(0.0, 9.0, 4.0, 0.3)]])
    image = torch.zeros(3, dtype=torch.long)
    position = torch.tensor([[0.0, 0.0, 4.0], [0.6, 0.0, 4.0], [0.0, -2.0, 4.0]])
    up = torch.tensor([0.0, -1.0, 0.0]).expand(3, 3)
    assert objects.occludes(image, position, up).tolist() == [True, False, False]
    assert objects.occludes(image, position, -up).tolist() == [False, False, True]
    assert not objects.occludes(image + 1, position, up).any(), "a object of another image"


def test_the_sky_is_closed_by_what_is_near():
    objects = balls([[(0.0, 0.0, 4.0, 0.5)]])
    away = torch.tensor([0.01, 0.1, 0.2, CONTACT + 0.01, 2.0])
    position = torch.stack([0.5 + away, torch.zeros(5), torch.full((5,), 4.0)], 1)
    ambient_visibility = objects.ambient_visibility(torch.zeros(5, dtype=torch.long), position)
    assert (ambient_visibility.diff() >= 0).all() and ambient_visibility[0] < 0.5
    assert (ambient_visibility[-2:] == 1).all()


def test_prints_show_on_printed_things_alone():
    plain = balls([[(0.0, 0.0, 4.0, 0.5)]], colour=0.1)
    printed = SceneObjects(plain.bodies, plain.exists, plain.colour, torch.ones(1), plain.gloss)
    assert (drawn(printed).light >= drawn(plain).light).all()
    assert drawn(printed).light.sum() > 5 * drawn(plain).light.sum()


def test_things_before_the_hand_hide_it_and_things_behind_it_do_not():
    nearer, farther = drawn(balls([[(0.0, 0.0, 3.0, 0.4)]])), drawn(balls([[(0.0, 0.0, 6.0, 0.8)]]))
    shape = (1, 1, SIDE, SIDE)
    light, alpha, place = torch.full((1, 3, SIDE, SIDE), 5.0), torch.zeros(shape), torch.full((1, 3, SIDE, SIDE), 9.0)
    alpha[..., : SIDE // 2] = 1
    depth = torch.where(alpha > 0, 4.0, 1e3)
    scene, front = nearer.composite(light, alpha, depth, place)
    hidden = nearer.alpha == 1
    assert torch.equal(front[hidden], nearer.depth[hidden])
    assert (scene.amax(1, keepdim=True)[hidden] < 5).all()
    scene, front = farther.composite(light, alpha, depth, place)
    assert torch.equal(front[alpha > 0], depth[alpha > 0])
    assert (scene[alpha.expand_as(scene) > 0] == 5).all()
    beside = (farther.alpha == 1) & (alpha == 0)
    assert beside.any() and torch.equal(front[beside], farther.depth[beside])
    empty = (farther.alpha == 0) & (alpha == 0)
    assert (scene[empty.expand_as(scene)] == 9).all() and (front[empty] == 1e3).all()
