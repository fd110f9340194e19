"""Objects occlude what is behind them and its light, and nothing else."""

import pytest
import torch

from hand.synth.light import sample_lights
from hand.synth.objects import CONTACT, SceneObjects
from hand.synth.superquadrics import Superquadrics

SIDE, FOCAL = 40, 60.0


def spheres(places: list[list[tuple[float, float, float, float]]], colour: float = 0.5) -> SceneObjects:
    """Per image the same number of spheres, x, y, z and radius, of one grey."""
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


def render_layer(objects: SceneObjects, lit: float = 1.0, seed: int = 0):
    """The layer, evenly lit."""
    n = len(objects.exists)
    pixels = objects.visible_pixels(focal(n), SIDE)
    lights = sample_lights(n, torch.Generator().manual_seed(seed), torch.device("cpu"))
    ones = torch.ones_like(pixels.coverage)
    return objects.render(pixels, SIDE, lights, torch.full((n, 3, 8, 8), 0.9), ones * lit, ones)


def test_a_sphere_is_rendered_at_its_projected_size_and_position():
    layer = render_layer(spheres([[(0.2, -0.1, 4.0, 0.4)], [(0.0, 0.0, 4.0, 0.8)]]))
    radius = torch.asin(torch.tensor([0.4, 0.8]) / 4).tan() * FOCAL
    torch.testing.assert_close(layer.alpha.sum((1, 2, 3)), torch.pi * radius**2, rtol=0.06, atol=0)
    y, x = torch.meshgrid(torch.arange(SIDE).float(), torch.arange(SIDE).float(), indexing="ij")
    middle = torch.stack([(layer.alpha[0, 0] * v).sum() / layer.alpha[0].sum() for v in (x, y)])
    expected = torch.tensor([0.2, -0.1]) / 4 * FOCAL + (SIDE - 1) / 2
    torch.testing.assert_close(middle, expected, atol=0.3, rtol=0)
    assert layer.depth[0].min() == pytest.approx(3.6, abs=0.01)


def test_light_and_depth_are_set_on_the_object_only():
    layer = render_layer(spheres([[(0.0, 0.0, 4.0, 0.5)]]))
    covered = layer.alpha > 0
    assert ((layer.depth < 100) == covered).all()
    assert (layer.light.sum(1, keepdim=True)[~covered] == 0).all()
    assert layer.light.isfinite().all() and (layer.light[:, :1][covered] > 0).all()


def test_the_nearer_of_two_objects_is_visible():
    near, far = (0.0, 0.0, 3.0, 0.3), (0.0, 0.0, 6.0, 0.9)
    for order in ([near, far], [far, near]):
        layer = render_layer(spheres([order]))
        assert layer.depth[0, 0, SIDE // 2, SIDE // 2] == pytest.approx(2.7, abs=0.01)
        assert layer.depth[0, 0, SIDE // 2, SIDE // 2 + 8] > 5


def test_absent_objects_and_objects_behind_the_camera_are_not_rendered():
    behind = spheres([[(0.0, 0.0, -4.0, 0.5)]])
    none = spheres([[(0.0, 0.0, 4.0, 0.5)]])
    none.exists[:] = False
    for objects in (behind, none):
        assert (render_layer(objects).alpha == 0).all()


def test_objects_of_a_batch_are_independent():
    left, right = (-0.6, 0.0, 4.0, 0.3), (0.6, 0.0, 4.0, 0.3)
    both, alone = render_layer(spheres([[left], [right]])), [render_layer(spheres([[place]])) for place in (left, right)]
    for number in range(2):
        assert torch.equal(both.alpha[number], alone[number].alpha[0])


def test_an_object_between_a_point_and_the_light_occludes_it():
    objects = spheres([[(0.0, -1.0, 4.0, 0.3)], [(0.0, 9.0, 4.0, 0.3)]])
    image = torch.zeros(3, dtype=torch.long)
    position = torch.tensor([[0.0, 0.0, 4.0], [0.6, 0.0, 4.0], [0.0, -2.0, 4.0]])
    up = torch.tensor([0.0, -1.0, 0.0]).expand(3, 3)
    assert objects.occludes(image, position, up).tolist() == [True, False, False]
    assert objects.occludes(image, position, -up).tolist() == [False, False, True]
    assert not objects.occludes(image + 1, position, up).any(), "a object of another image"


def test_nearby_objects_reduce_ambient_visibility():
    objects = spheres([[(0.0, 0.0, 4.0, 0.5)]])
    away = torch.tensor([0.01, 0.1, 0.2, CONTACT + 0.01, 2.0])
    position = torch.stack([0.5 + away, torch.zeros(5), torch.full((5,), 4.0)], 1)
    ambient_visibility = objects.ambient_visibility(torch.zeros(5, dtype=torch.long), position)
    assert (ambient_visibility.diff() >= 0).all() and ambient_visibility[0] < 0.5
    assert (ambient_visibility[-2:] == 1).all()


def test_prints_appear_on_printed_objects_only():
    plain = spheres([[(0.0, 0.0, 4.0, 0.5)]], colour=0.1)
    printed = SceneObjects(plain.bodies, plain.exists, plain.colour, torch.ones(1), plain.gloss)
    assert (render_layer(printed).light >= render_layer(plain).light).all()
    assert render_layer(printed).light.sum() > 5 * render_layer(plain).light.sum()


def test_objects_in_front_occlude_the_hand_and_objects_behind_do_not():
    nearer, farther = render_layer(spheres([[(0.0, 0.0, 3.0, 0.4)]])), render_layer(spheres([[(0.0, 0.0, 6.0, 0.8)]]))
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
