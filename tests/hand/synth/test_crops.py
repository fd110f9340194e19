"""Synthetic crops have one camera each, show right hands in their boxes, and are deterministic by seed."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from hand.model import HandModel
from hand.prior import FAMILIES
from hand.synth import aim
from hand.synth.aim import random_rotations
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import ANY_ROLL, SURFACE_CELL, CropRenderer, SyntheticCrops
from hand.synth.light import rolled, sample_lights
from runtime.estimators import framing as track
from tests.hand.pinhole import reprojection_error_px

SIZE = 64
PLACES = Backgrounds.load(None, "train")


def render_crops(seed: int = 1, n: int = 8, border: int = 0, any_roll: float = ANY_ROLL, **shares: float) -> SyntheticCrops:
    return CropRenderer(SIZE, PLACES, seed, border=border, any_roll=any_roll).render(n, **shares)


@pytest.fixture(scope="module")
def crops() -> SyntheticCrops:
    """Crops at any roll."""
    return render_crops(seed=0, n=160, any_roll=1.0)


@pytest.fixture(scope="module")
def upright() -> SyntheticCrops:
    return render_crops(seed=0, n=160, any_roll=0.0)


def at(images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(N, J, 3) colours of images (N, S, S, 3) at the pixels (N, J, 2) nearest to these."""
    spot = pixels.round().long().clamp(0, images.shape[1] - 1)
    return images[torch.arange(len(images))[:, None], spot[..., 1], spot[..., 0]].float()


def test_images_and_ground_truth_are_deterministic_by_seed():
    first, again, other = render_crops(1), render_crops(1), render_crops(2)
    for field in fields(SyntheticCrops):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name)), field.name
    assert not torch.equal(first.images, other.images)
    assert not torch.equal(first.joints, other.joints)


def test_shapes_are_as_documented(crops):
    assert (crops.images.shape, crops.images.dtype) == ((160, SIZE, SIZE, 3), torch.uint8)
    assert (crops.joints.shape, crops.pixels.shape, crops.visible.shape) == ((160, 21, 3), (160, 21, 2), (160, 21))
    assert crops.images.flatten(1).float().std(1).min() > 2, "a picture is blank"


def test_joints_are_unit_hands(crops):
    assert (crops.joints[:, 0] == 0).all()
    torch.testing.assert_close(crops.joints[:, 9].norm(dim=1), torch.ones(160))


def test_pixels_are_projections_of_the_joints_by_one_camera(crops):
    assert reprojection_error_px(crops.joints, crops.pixels, SIZE).max() < 1e-2
    # Mirrored joints, or those of other hands, do not fit these pixels.
    mirrored = crops.joints * torch.tensor([-1.0, 1.0, 1.0])
    assert reprojection_error_px(mirrored, crops.pixels, SIZE).median() > 1
    assert reprojection_error_px(crops.joints.roll(1, 0), crops.pixels, SIZE).median() > 1


def test_hands_are_right_hands(crops):
    up = torch.nn.functional.normalize(crops.pixels[:, 9] - crops.pixels[:, 0], dim=1)
    right = torch.stack([-up[:, 1], up[:, 0]], 1)
    thumb_side = ((crops.pixels[:, 5] - crops.pixels[:, 17]) * right).sum(1)
    backs, palms = crops.facing > 0.6, crops.facing < -0.6
    assert backs.sum() > 10 and palms.sum() > 10
    assert (thumb_side[backs] < 0).all()
    assert (thumb_side[palms] > 0).all()


def test_hands_are_seen_from_all_sides(crops):
    assert crops.facing.min() < -0.9 and crops.facing.max() > 0.9
    fingers = crops.pixels[:, 9] - crops.pixels[:, 0]
    quadrants = (fingers > 0).long() @ torch.tensor([1, 2])
    assert torch.bincount(quadrants, minlength=4).min() > 15
    assert len(crops.family.unique()) > 0.9 * len(FAMILIES)
    assert crops.tone.min() < 1 and crops.tone.max() > 8


def test_upright_crops_have_the_roll_of_tracked_crops(upright):
    rolls = np.array([track.roll_of(pixels) for pixels in upright.pixels.numpy()])
    assert abs(rolls.mean()) < 5 and 0.6 * aim.ROLL_JITTER_DEG < rolls.std() < 1.6 * aim.ROLL_JITTER_DEG
    assert upright.facing.min() < -0.9 and upright.facing.max() > 0.9


def test_lights_rotate_with_the_roll_of_the_crop():
    lights = sample_lights(400, torch.Generator().manual_seed(0), torch.device("cpu"))
    upside_down = rolled(lights, torch.full((400,), math.pi))
    torch.testing.assert_close(upside_down.up * torch.tensor([-1.0, -1.0, 1.0]), lights.up)
    quarter = rolled(lights, torch.full((400,), math.pi / 2))
    # A quarter turn clockwise puts the ceiling on the right.
    assert lights.up[:, 1].mean() < -0.2 and quarter.up[:, 0].mean() > 0.2


def test_surface_map_gives_the_position_on_the_rest_hand(upright):
    share, where = upright.surface[:, 0].float(), upright.surface[:, 1:].float()
    assert upright.surface.shape == (160, 5, 16, 16) and share.max() <= 1 and 0.05 < share.mean() < 0.6
    cell = ((upright.pixels + 0.5) / SURFACE_CELL).long().clamp(0, 15)
    rest = HandModel.load().joints
    rows = torch.arange(160)
    for joint in (5, 9, 12, 17):
        x, y = cell[:, joint].T
        shown = upright.visible[:, joint] & (share[rows, y, x] > 0.9)
        assert shown.sum() > 12
        on_hand = where[rows, :3, y, x] / share[rows, y, x, None]
        assert (on_hand[shown] - rest[joint]).norm(dim=1).median() < 0.25
        depth = where[rows, 3, y, x] / share[rows, y, x]
        assert (depth - upright.joints[:, joint, 2])[shown].abs().median() < 0.15


@pytest.fixture(scope="module")
def palms() -> SyntheticCrops:
    return CropRenderer(SIZE, PLACES, 0, framing=track.Framing(upright=True, around="palm")).render(80)


def test_around_the_palm_boxes_are_mediapipes_with_jitter(palms):
    for pixels in palms.pixels.numpy():
        centre, size = track.palm_box(pixels, 0.0)
        assert SIZE / 1.32 * 0.93 < size < SIZE / 0.82 * 1.07
        assert abs(centre - (SIZE - 1) / 2).max() < 0.25 * size
    rolls = np.array([track.palm_roll(pixels) for pixels in palms.pixels.numpy()])
    # None has any roll: the detector of palms tells it.
    assert abs(rolls.mean()) < 6 and 0.6 * aim.ROLL_JITTER_DEG < rolls.std() < 1.6 * aim.ROLL_JITTER_DEG
    assert reprojection_error_px(palms.joints, palms.pixels, SIZE).max() < 1e-2


@pytest.mark.parametrize("upright", [False, True])
def test_around_the_joints_is_what_is_drawn_without_a_framing(upright):
    plain = CropRenderer(SIZE, PLACES, 3).render(4)
    framed = CropRenderer(SIZE, PLACES, 3, framing=track.Framing(upright, "joints")).render(4)
    for field in fields(SyntheticCrops):
        assert torch.equal(getattr(plain, field.name), getattr(framed, field.name)), field.name


def test_boxes_are_those_of_the_tracker_with_jitter(crops):
    assert aim.BOX_MARGIN == track.BOX_MARGIN
    for pixels in crops.pixels.numpy():
        centre, size = track.box_around(pixels)
        # Sampled boxes are 0.82 to 1.32 times as large, and off the hand by up to a fifth of one.
        assert SIZE / 1.32 * 0.93 < size < SIZE / 0.82 * 1.07
        assert abs(centre - (SIZE - 1) / 2).max() < 0.25 * size


def test_a_border_shows_more_around_the_same_box():
    plain, wider = render_crops(n=40), render_crops(n=40, border=8)
    assert wider.images.shape == (40, SIZE + 16, SIZE + 16, 3)
    torch.testing.assert_close(wider.joints, plain.joints)
    torch.testing.assert_close(wider.pixels, plain.pixels + 8)


def test_the_image_shows_the_hand_at_its_joints():
    with_hand, without = render_crops(n=48), render_crops(n=48, absent=1.0)
    assert torch.equal(with_hand.joints, without.joints)
    far = torch.tensor([[2.0, 2.0], [2.0, 61.0], [61.0, 2.0], [61.0, 61.0]]).expand(48, 4, 2)
    changed = [(at(with_hand.images, spot) - at(without.images, spot)).abs().mean() for spot in (with_hand.pixels, far)]
    assert changed[0] > 1.5 * changed[1]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_images_without_a_hand_is_as_requested(share):
    present = render_crops(n=64, absent=share).present.float().mean()
    assert present == 1 - share if share in (0, 1) else 0.3 < present < 0.7


def test_a_mirrored_image_shows_a_left_hand():
    right, left = render_crops(), render_crops(mirrored=1.0)
    assert left.mirrored.all() and not right.mirrored.any()
    assert torch.equal(left.images, right.images.flip(2))


def test_joints_outside_the_image_are_not_visible(crops):
    outside = ((crops.pixels < -0.5) | (crops.pixels > SIZE - 0.5)).any(-1)
    assert outside.any() and not (outside & crops.visible).any()
    assert 0.3 < crops.visible.float().mean() < 0.95


def test_a_curled_hand_occludes_its_tips_from_the_back_and_its_knuckles_from_the_palm(crops):
    curled = (crops.joints[:, 12] - crops.joints[:, 9]).norm(dim=1) < 0.7
    backs, palms = curled & (crops.facing > 0.4), curled & (crops.facing < -0.4)
    assert backs.sum() >= 3 and palms.sum() >= 3
    knuckles, tips = crops.visible[:, [5, 9, 13]].float().mean(1), crops.visible[:, [8, 12, 16]].float().mean(1)
    assert knuckles[backs].mean() > tips[backs].mean() + 0.2
    assert tips[palms].mean() > knuckles[palms].mean() + 0.2


def test_random_rotations_are_uniform_rotations():
    turns = random_rotations(4000, torch.Generator().manual_seed(0), torch.device("cpu"))
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).expand(4000, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(4000))
    assert turns.mean(0).abs().max() < 0.04
