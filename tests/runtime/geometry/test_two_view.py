"""Projection, triangulation and epipolar residuals agree, and are symmetric in the views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.views import VIEWS, PerView
from hand.rotations import angle_deg
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.two_views import sample_rig

seeds = st.integers(0, 2**32 - 1)


def rig_and_points(seed: int, count: int = 21) -> tuple[TwoViewGeometry, np.ndarray]:
    """Two cameras and points (count, 3) where both look, mm."""
    rng = np.random.default_rng(seed)
    rig = sample_rig(rng)
    return rig.geometry, rig.in_left(rng.uniform(-80, 80, (count, 3)))


def swapped(geometry: TwoViewGeometry) -> TwoViewGeometry:
    """The same cameras with left and right exchanged."""
    cameras = PerView(geometry.cameras.right, geometry.cameras.left)
    return TwoViewGeometry(cameras, geometry.R_right_from_left.T, geometry.right_in_left_mm)


def other_way(pixels: PerView[np.ndarray]) -> PerView[np.ndarray]:
    return PerView(pixels.right, pixels.left)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_triangulating_projections_gives_the_points(seed):
    geometry, points = rig_and_points(seed)
    sigma_px = PerView(*np.random.default_rng(seed).uniform(1, 5, (2, len(points))))
    met = geometry.triangulate(geometry.project(points), sigma_px)
    np.testing.assert_allclose(met, points, atol=0.01)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_right_camera_position_maps_to_its_origin(seed):
    geometry, _ = rig_and_points(seed, 0)
    np.testing.assert_allclose(geometry.in_view_axes(geometry.right_in_left_mm).right, 0, atol=1e-9)
    np.testing.assert_allclose(geometry.in_view_axes(np.zeros(3)).right, geometry.t_right_from_left_mm)
    assert geometry.angle_deg == pytest.approx(float(angle_deg(np.eye(3), geometry.R_right_from_left)))


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_swapping_views_inverts_the_geometry(seed):
    geometry, points = rig_and_points(seed)
    other, seen = swapped(geometry), geometry.in_view_axes(points)
    np.testing.assert_allclose(other.in_view_axes(seen.right).right, seen.left, atol=1e-9)
    pixels = geometry.project(points).map(lambda of_view: of_view + np.random.default_rng(seed).normal(0, 5, of_view.shape))
    for view, same in other.project(seen.right).items():
        np.testing.assert_allclose(same, other_way(geometry.project(points))[view], atol=1e-9)
    sigma_px = PerView(np.full(len(points), 2.0), np.full(len(points), 7.0))
    met = other.triangulate(other_way(pixels), other_way(sigma_px))
    np.testing.assert_allclose(met, geometry.in_view_axes(geometry.triangulate(pixels, sigma_px)).right, atol=0.01)
    np.testing.assert_allclose(np.abs(other.sampson_px(other_way(pixels))), np.abs(geometry.sampson_px(pixels)), atol=1e-9)


def test_triangulation_is_nearer_to_the_ray_of_lower_sigma():
    geometry, points = rig_and_points(3)
    pixels = geometry.project(points)
    off = PerView(pixels.left, pixels.right + np.random.default_rng(0).normal(0, 4, pixels.right.shape))
    for nearer in VIEWS:
        sigma_px = PerView.of(lambda view, nearer=nearer: np.full(21, 0.01 if view == nearer else 10.0))
        met = geometry.project(geometry.triangulate(off, sigma_px))
        np.testing.assert_allclose(met[nearer], off[nearer], atol=0.01)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_true_pairs_obey_the_epipolar_constraint(seed):
    geometry, points = rig_and_points(seed)
    pixels = geometry.project(points)
    assert np.abs(geometry.sampson_px(pixels)).max() < 1e-6
    left, right = (np.concatenate([of_view, np.ones((len(points), 1))], -1) for of_view in pixels)
    F = geometry.fundamental / np.linalg.norm(geometry.fundamental)
    lines = left @ F.T
    assert np.abs((lines * right).sum(-1) / np.linalg.norm(lines[:, :2], axis=-1)).max() < 1e-6


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_sampson_distance_is_the_least_pixel_correction(seed):
    geometry, points = rig_and_points(seed)
    exact = geometry.project(points)
    flat = np.concatenate([*exact], -1)
    # No move away from agreement is shorter than the distance, and the steepest one is as long.
    rng = np.random.default_rng(seed)
    anywhere = rng.normal(size=flat.shape)
    steepest = np.stack([_sampson(geometry, flat + step) - _sampson(geometry, flat - step) for step in 1e-4 * np.eye(4)], -1)
    for move in (anywhere, steepest):
        move /= np.linalg.norm(move, axis=-1, keepdims=True)
    assert (np.abs(_sampson(geometry, flat + 0.1 * anywhere)) < 0.1 * 1.02).all()
    np.testing.assert_allclose(_sampson(geometry, flat + 0.1 * steepest), 0.1, rtol=0.02)
    larger = [np.abs(_sampson(geometry, flat + length * steepest)) for length in (0.1, 0.3, 1.0, 3.0)]
    assert (np.diff(larger, axis=0) > 0).all()


def _sampson(geometry: TwoViewGeometry, flat: np.ndarray) -> np.ndarray:
    """Of pixels (..., 4): the left's, the right's."""
    return geometry.sampson_px(PerView(flat[..., :2], flat[..., 2:]))


def test_epipolar_residuals_are_independent_of_the_baseline_length():
    geometry, points = rig_and_points(1)
    longer = TwoViewGeometry(geometry.cameras, geometry.R_right_from_left, 3 * geometry.t_right_from_left_mm)
    pixels = longer.project(3 * points)
    np.testing.assert_allclose([*pixels], [*geometry.project(points)], atol=1e-9)
    np.testing.assert_allclose(longer.fundamental, geometry.fundamental)
