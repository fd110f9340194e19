"""An undistorted frame is what the ideal pinhole camera would have taken."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand.errors import UserError
from runtime.geometry.lens import Lens, Undistorter

WEBCAM = Lens((560.0, 564.0), (312.0, 236.0), "radtan", (-0.1, 0.02, 0.001, -0.001, 0.003), (640, 480))
RATIONAL = Lens((500.0, 500.0), (320.0, 244.0), "radtan", (0.1, 0.05, 0.0, 0.001, 0.01, 0.2, 0.05, 0.01), (640, 480))
SAMPLE = Lens((530.0, 530.0), (330.0, 240.0), "radtan", (-0.28, 0.05, 0.0, 0.0, 0, 0, 0, 0.1, 0, 0, 0, 0, 0, 0), (640, 480))
HEADSET = Lens((285.0, 286.0), (322.0, 238.0), "equidistant", (-0.013, 0.05, -0.045, 0.012), (640, 480))
LENSES = {"webcam": WEBCAM, "rational": RATIONAL, "stereo_calib": SAMPLE, "headset": HEADSET}
FOLDED = Lens((330.0, 330.0), (320.0, 238.0), "radtan", (-0.4, 0.0, 0.0, 0.0), (640, 480))
"""Its polynomial turns back 42° off the axis, within the frame."""


def photograph(lens: Lens, point: np.ndarray) -> np.ndarray:
    """A small bright spot, as the lens shows a point (3,)."""
    assert lens.size_px
    model = cv2.fisheye.projectPoints if lens.distortion == "equidistant" else cv2.projectPoints
    pixel = model(point.reshape(1, 1, 3), np.zeros(3), np.zeros(3), lens.matrix, np.array(lens.coefficients))[0].ravel()
    x, y = np.arange(lens.size_px[0]), np.arange(lens.size_px[1])[:, None]
    spot = 255 * np.exp(-((x - pixel[0]) ** 2 + (y - pixel[1]) ** 2) / (2 * 3.0**2))
    return np.repeat(spot.astype(np.uint8)[..., None], 3, -1)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
@pytest.mark.parametrize("direction", [(0.0, 0.0), (0.35, 0.25), (-0.3, 0.2), (0.05, -0.33)])
def test_a_point_is_seen_where_the_ideal_camera_projects_it(lens, direction):
    undistort = Undistorter(lens)
    point = np.array([*direction, 1.0]) * 700
    seen = centroid(undistort(photograph(lens, point)))
    np.testing.assert_allclose(seen, undistort.camera.project(point), atol=0.25)


@pytest.mark.parametrize("lens", [*LENSES.values(), FOLDED], ids=[*LENSES, "folded"])
def test_undistorted_pixels_map_back_to_the_frame(lens):
    """The way back that callers use, `lens.project(camera.rays(pixels))`, is the one that the maps go."""
    undistort = Undistorter(lens)
    point = undistort.camera.rays(np.array([400.0, 300.0])) * 500
    seen = centroid(photograph(lens, point))
    np.testing.assert_allclose(lens.project(undistort.camera.rays(np.array([400.0, 300.0]))), seen, atol=0.05)


@pytest.mark.parametrize("focal_px", [150.0, 500.0])
def test_frames_without_distortion_are_returned_unchanged(focal_px):
    undistort = Undistorter(Lens((focal_px, focal_px), (310.5, 250.0), size_px=(640, 480)))
    frame = np.zeros((480, 640, 3), np.uint8)
    assert undistort(frame) is frame
    assert (undistort.camera.focal_px, undistort.camera.centre_px) == (focal_px, (310.5, 250.0))
    flat = Undistorter(Lens((500.0, 500.0), (310.5, 250.0), "radtan", (0.0,) * 5, (640, 480)))
    assert flat(frame) is frame
    assert flat.camera.focal_px == pytest.approx(500, rel=1e-4)


def test_non_square_pixels_become_square():
    lens = Lens((500.0, 450.0), (319.5, 239.5), size_px=(640, 480))
    undistort = Undistorter(lens)
    point = np.array([0.3, 0.3, 1.0])
    offset = centroid(undistort(photograph(lens, point))) - (319.5, 239.5)
    assert offset[0] == pytest.approx(offset[1], abs=0.2)


def test_field_of_view_is_capped_at_110_degrees_for_fisheyes_only():
    camera = Undistorter(HEADSET).camera
    assert np.degrees(2 * np.arctan(320 / camera.focal_px)) == pytest.approx(110)
    assert 0.9 < Undistorter(WEBCAM).camera.focal_px / 560 < 1


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_little_of_a_frame_is_black_and_little_is_lost(lens):
    undistort = Undistorter(lens)
    white = undistort(np.full((480, 640, 3), 255, np.uint8))
    assert (white == 0).mean() < 0.07
    if lens is not HEADSET:
        # The frame's four edges, half way, are still in the picture, or within a pixel of it.
        for edge in ((312.0, 1.0), (312.0, 478.0), (1.0, 240.0), (638.0, 240.0)):
            spot = np.zeros((480, 640, 3), np.uint8)
            cv2.circle(spot, (int(edge[0]), int(edge[1])), 5, (255, 255, 255), -1)
            assert undistort(spot).max() > 200, edge


def test_a_folding_distortion_polynomial_shows_nothing_twice():
    undistort = Undistorter(FOLDED)
    white = undistort(np.full((480, 640, 3), 255, np.uint8))[..., 0]
    rays = undistort.camera.rays(np.stack(np.meshgrid(np.arange(640), np.arange(480)), -1))
    angle = np.degrees(np.arccos(rays[..., 2]))
    turn = np.degrees(np.arctan(np.sqrt(1 / 1.2)))  # of r − 0.4 r³
    assert not white[angle > turn + 0.5].any()
    assert white[np.abs(angle - turn + 1.5) < 0.5].all()


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(list(LENSES.values())), st.sampled_from([0.25, 0.5, 2.0]), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_scaled_frame_shows_the_same_at_scaled_places(lens, scale, x, y):
    point = np.array([x, y, 1.0])
    small = lens.at((int(640 * scale), int(480 * scale)))
    # Pixel 0 is a centre: edges scale, centres do not.
    np.testing.assert_allclose(small.project(point) + 0.5, (lens.project(point) + 0.5) * scale, atol=1e-9)
    assert Undistorter(small).camera.focal_px == pytest.approx(Undistorter(lens).camera.focal_px * scale, rel=1e-6)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_rays_lead_to_where_they_are_seen(lens):
    points = np.array([[x, y, 1.0] for x in (-0.2, 0, 0.3) for y in (-0.15, 0, 0.2)])
    rays = lens.rays(lens.project(points))
    np.testing.assert_allclose(rays, points / np.linalg.norm(points, axis=1, keepdims=True), atol=1e-4)


def test_a_lens_of_unknown_size_takes_that_of_its_frames():
    lens = Lens((500.0, 500.0), (322.0, 238.0))
    assert lens.at((640, 480)).size_px == (640, 480)
    with pytest.raises(UserError, match=r"\(322, 238\).*1280x960.*image_width"):
        lens.at((1280, 960))


def test_frames_of_another_aspect_ratio_raise():
    with pytest.raises(UserError, match="640x480.*1280x720.*aspect"):
        WEBCAM.at((1280, 720))
    assert Lens((900.0, 900.0), (640.0, 360.0), size_px=(1280, 720)).at((848, 480)).size_px == (848, 480)
    with pytest.raises(UserError, match="320x240.*640x480"):
        Undistorter(WEBCAM)(np.zeros((240, 320, 3), np.uint8))


def test_an_undistorted_frame_is_read_only():
    frame = np.zeros((480, 640, 3), np.uint8)
    frame.flags.writeable = False
    assert not Undistorter(WEBCAM)(frame).flags.writeable
