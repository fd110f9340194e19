"""A rendered hand is at its joints, with light per pixel and per vertex alike."""

import pytest
import torch

from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth.aim import random_rotations, turn_to_axis
from hand.synth.appearance import sample_appearance
from hand.synth.light import Lights, sample_lights
from hand.synth.render import Rendered, box_blur, render

MODEL = HandModel.load()
HANDS, SIDE, FOCAL, DISTANCE = 6, 96, 150.0, 5.0


class Scene:
    """Random hands in front of one camera, the middle knuckle on its axis, by a fixed seed."""

    def __init__(self):
        random = torch.Generator().manual_seed(0)
        pose, _ = sample_poses(HANDS, random, MODEL)
        hand = MODEL.pose(torch.zeros(HANDS, MODEL.components), pose)
        turn = random_rotations(HANDS, random, torch.device("cpu"))
        place = torch.tensor([0.0, 0.0, DISTANCE])
        self.joints = (hand.joints - hand.joints[:, 9:10]) @ turn.mT + place
        self.vertices = (hand.vertices - hand.joints[:, 9:10]) @ turn.mT + place
        self.appearance = sample_appearance(HANDS, random, torch.device("cpu"))
        self.lights = sample_lights(HANDS, random, torch.device("cpu"))

    @staticmethod
    def project(points: torch.Tensor) -> torch.Tensor:
        return points[..., :2] / points[..., 2:] * FOCAL + (SIDE - 1) / 2

    def rendered(self, *, per_vertex: bool = False, lights: Lights | None = None) -> Rendered:
        pixels = self.project(self.vertices)
        lights = lights or self.lights
        return render(MODEL, self.vertices, pixels, (SIDE, SIDE), self.appearance, lights, per_vertex=per_vertex)


def single_light(slot: int, towards: tuple[float, float, float]) -> Lights:
    """A single white light, number `slot` of three, in direction `towards`, and no ambient light."""
    colour, dark = torch.zeros(HANDS, 3, 3), torch.zeros(HANDS, 3)
    colour[:, slot] = 1
    direction = torch.nn.functional.normalize(torch.tensor(towards), dim=0)
    return Lights(direction.expand(HANDS, 3, 3), colour, dark, dark, direction.expand(HANDS, 3))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def rendered(scene: Scene) -> Rendered:
    return scene.rendered()


def at(image: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(N, J) values of images (N, 1, S, S) at the pixels (N, J, 2) nearest to these."""
    spot = pixels.round().long()
    assert ((spot >= 0) & (spot < SIDE)).all()
    return image[torch.arange(len(image))[:, None], 0, spot[..., 1], spot[..., 0]]


def test_the_mask_covers_the_projected_joints(scene, rendered):
    assert (at(rendered.alpha, scene.project(scene.joints)) >= 0.5).float().mean() > 0.98
    assert 0.05 < rendered.alpha.mean() < 0.5


def test_skin_is_nearer_than_the_joints_below_it(scene, rendered):
    surface = at(rendered.depth, scene.project(scene.joints))
    assert (surface < scene.joints[..., 2]).float().mean() > 0.98


def test_light_and_depth_are_set_on_the_hand_only(rendered):
    covered = rendered.alpha > 0
    assert ((rendered.depth < 2 * DISTANCE) == covered).all()
    assert (rendered.light.sum(1, keepdim=True)[~covered] == 0).all()
    assert (rendered.light.amin(1, keepdim=True)[covered] >= 0).all()
    assert rendered.light.isfinite().all()


def test_per_vertex_light_keeps_mask_and_depth_and_approximates_the_light(scene, rendered):
    quick = scene.rendered(per_vertex=True)
    assert torch.equal(quick.alpha, rendered.alpha)
    assert torch.equal(quick.depth, rendered.depth)
    both = torch.stack([quick.light, rendered.light]).flatten(2)
    for number in range(HANDS):
        assert torch.corrcoef(both[:, number])[0, 1] > 0.9


@pytest.mark.parametrize(("towards", "least", "most"), [((0.0, 0.0, -1.0), 0.0, 0.06), ((-1.0, -0.3, -0.6), 0.1, 0.5)])
def test_only_the_first_light_casts_visible_shadows(scene, rendered, towards, least, most):
    # The other lights cast none. The shadows of a light at the camera are not visible.
    shadowed, plain = (scene.rendered(lights=single_light(slot, towards)).light.sum(1) for slot in (0, 1))
    covered = rendered.alpha[:, 0] == 1
    assert (shadowed <= plain + 1e-6).all()
    assert least <= (shadowed < 0.7 * plain)[covered].float().mean() < most


def test_hands_of_a_batch_are_independent(scene, rendered):
    pixels = scene.project(scene.vertices)
    swapped = torch.arange(HANDS).flip(0)
    other = render(MODEL, scene.vertices[swapped], pixels[swapped], (SIDE, SIDE), scene.appearance, scene.lights)
    assert torch.equal(other.alpha[swapped], rendered.alpha)
    assert torch.equal(other.depth[swapped], rendered.depth)


def test_turn_to_axis_is_the_smallest_such_rotation():
    random = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(20, 3, generator=random).double().abs() + 0.1, dim=1)
    turn = turn_to_axis(direction)
    ahead = torch.tensor([0.0, 0.0, 1.0]).double()
    torch.testing.assert_close((turn @ direction[..., None])[..., 0], ahead.expand(20, 3))
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3).double().expand(20, 3, 3))
    cosine = (turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    torch.testing.assert_close(cosine, direction[:, 2])


def test_box_blur_keeps_a_constant_image_and_spreads_a_spot():
    even = box_blur(torch.ones(1, 1, 64, 64), 8)
    torch.testing.assert_close(even[..., 16:48, 16:48], torch.ones(1, 1, 32, 32))
    spot = torch.zeros(1, 1, 64, 64)
    spot[..., 32, 32] = 1
    blurred = box_blur(spot, 8)
    torch.testing.assert_close(blurred.sum(), torch.tensor(1.0))
    assert blurred.max() < 0.01
