"""Projection and rays of a pinhole camera are inverse to each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand.camera import DEFAULT_FOV_DEG, PinholeCamera

CAMERA = PinholeCamera(500.0, (300.0, 260.0), (640, 480))
PIXELS = st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)), min_size=1, max_size=5).map(np.array)


@given(PIXELS, st.floats(0.1, 1e4))
def test_a_point_on_a_pixels_ray_is_seen_there(pixels, distance):
    rays = CAMERA.rays(pixels)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    assert (rays[:, 2] > 0).all()
    np.testing.assert_allclose(CAMERA.project(rays * distance), pixels, atol=1e-8)


def test_projecting_is_multiplying_by_the_matrix():
    points = np.random.default_rng(0).uniform((-1, -1, 1), (1, 1, 3), (4, 5, 3))
    homogeneous = points @ CAMERA.matrix.T
    np.testing.assert_allclose(CAMERA.project(points), homogeneous[..., :2] / homogeneous[..., 2:])


def test_right_is_right_and_down_is_down():
    np.testing.assert_array_equal(CAMERA.project(np.array([0.0, 0, 2])), CAMERA.centre_px)
    x, y = CAMERA.project(np.array([0.1, 0.2, 2]))
    assert x > CAMERA.centre_px[0] and y > CAMERA.centre_px[1]


@pytest.mark.parametrize("fov_deg", [20.0, DEFAULT_FOV_DEG, 120.0])
def test_the_field_of_view_reaches_from_edge_to_edge(fov_deg):
    camera = PinholeCamera.from_fov(640, 480, fov_deg)
    # Pixel (0, 0) is a centre: the image begins half a pixel before it.
    left, right = camera.rays(np.array([[-0.5, 239.5], [639.5, 239.5]]))
    assert np.degrees(np.arccos(left @ right)) == pytest.approx(fov_deg)
    assert camera.size_px == (640, 480)
    np.testing.assert_array_equal(camera.project(np.array([0.0, 0, 1])), (319.5, 239.5))
