"""A crop is a camera: pixels and joints round-trip, and its image shows what its camera sees."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand.camera import PinholeCamera
from runtime.estimators.crop import CropCamera, HandCrop
from runtime.estimators.framing import roll_of
from runtime.types import HandBox
from tests.runtime.hands import flexed_hand

FRAME = PinholeCamera.from_fov(640, 480, 70)


@st.composite
def cameras(draw) -> CropCamera:
    box = HandBox(
        "left",
        draw(st.sampled_from(["left", "right"])),
        (draw(st.floats(0, 639)), draw(st.floats(0, 479))),
        draw(st.floats(40, 400)),
        1.0,
        draw(st.sampled_from([0.0, 30.0, -135.0])),
    )
    return CropCamera.looking_at(box, FRAME, draw(st.sampled_from([64, 128])))


@given(cameras(), st.integers(0, 2**32 - 1))
def test_pixels_and_joints_round_trip(camera, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, camera.size, (21, 2))
    np.testing.assert_allclose(camera.crop_from_frame(camera.frame_from_crop(pixels)), pixels, atol=1e-6)
    joints = rng.normal(size=(2, 21, 3))
    np.testing.assert_allclose(camera.joints_in_frame(camera.joints_in_crop(joints)), joints, atol=1e-12)


@given(cameras(), st.integers(0, 2**32 - 1))
def test_both_cameras_see_the_same_points(camera, seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.1, (21, 3)) + rng.uniform(0.5, 3) * camera.R_frame_from_crop[:, 2]
    through_crop = camera.frame_from_crop(camera.project(camera.joints_in_crop(points)))
    np.testing.assert_allclose(through_crop, FRAME.project(points), atol=1e-6)


@given(cameras())
def test_crop_is_centred_on_its_box_and_spans_it(camera):
    middle = np.full(2, (camera.size - 1) / 2)
    np.testing.assert_allclose(FRAME.rays(camera.frame_from_crop(middle)), camera.R_frame_from_crop[:, 2], atol=1e-9)
    steps = camera.frame_from_crop(middle + np.array([[0.01, 0], [0, 0.01], [0, 0]]))
    area = abs(np.linalg.det(steps[:2] - steps[2])) / 1e-4
    x, y = camera.frame_from_crop(middle)
    box = HandBox("left", "right", (float(x), float(y)), np.sqrt(area) * camera.size, 1.0)
    assert CropCamera.looking_at(box, FRAME, camera.size).focal_px == pytest.approx(camera.focal_px, rel=1e-3)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("roll_deg", [30.0, 90.0, -160.0])
def test_a_box_with_the_roll_of_the_hand_shows_it_upright(side, roll_deg):
    # A hand on the axis whose knuckles lie clockwise of up by the roll.
    up = np.array([np.sin(np.radians(roll_deg)), -np.cos(np.radians(roll_deg))])
    joints = np.array(FRAME.centre_px) + np.outer(np.linspace(-40, 40, 21), up)
    assert roll_of(joints) == pytest.approx(roll_deg)
    box = HandBox("left", side, FRAME.centre_px, 200.0, 1.0, roll_deg)
    shown = CropCamera.looking_at(box, FRAME, 64).crop_from_frame(joints)
    assert roll_of(shown) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(shown[:, 0], 31.5, atol=1e-6)


def test_on_the_axis_a_crop_is_a_plain_square():
    box = HandBox("left", "right", FRAME.centre_px, 200.0, 1.0)
    corners = CropCamera.looking_at(box, FRAME, 100).frame_from_crop(np.array([[-0.5, -0.5], [99.5, 99.5]]))
    np.testing.assert_allclose(corners - np.array(FRAME.centre_px), [[-100, -100], [100, 100]], atol=1e-9)


def test_left_hand_in_the_crop_is_the_mirrored_right_hand():
    left = flexed_hand() * np.array([-1, 1, 1])
    camera = CropCamera.looking_at(HandBox("left", "left", FRAME.centre_px, 200.0, 1.0), FRAME, 128)
    np.testing.assert_allclose(camera.joints_in_crop(left), flexed_hand(), atol=1e-12)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size_px", [90.0, 300.0, 620.0])
def test_a_dot_appears_where_the_crop_camera_projects_it(side, size_px):
    box = HandBox("left", side, (380.0, 200.0), size_px, 1.0)
    for dot in (np.array([400.0, 190.0]), np.array([365.0, 230.0])):
        image = np.zeros((480, 640, 3), np.uint8)
        y, x = np.mgrid[:480, :640]
        blob = np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 6.0**2))
        image[:] = np.round(255 * blob)[..., None].astype(np.uint8)
        crop = HandCrop.cut(box, FRAME, image, 128)
        moments = cv2.moments(crop.image[..., 0])
        found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        np.testing.assert_allclose(found, crop.camera.crop_from_frame(dot), atol=0.3)


def test_shrinking_averages_where_sampling_would_alias():
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    box = HandBox("left", "right", FRAME.centre_px, 400.0, 1.0)
    crop = CropCamera.looking_at(box, FRAME, 64).cut(stripes)
    assert abs(crop.astype(float).mean() - 127.5) < 2
    assert crop.std() < 10


def test_a_box_far_outside_of_the_frame_is_black():
    box = HandBox("left", "right", (-900.0, 200.0), 300.0, 1.0)
    assert not CropCamera.looking_at(box, FRAME, 64).cut(np.full((480, 640, 3), 255, np.uint8)).any()
