"""Initial camera estimates are exact without noise, and near the truth with noise and outliers."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView
from hand.rotations import angle_deg, from_vector
from runtime.calibration.bundle import Keypoints
from runtime.calibration.initialization import MAX_DEPTH, CameraEstimate, from_essential, from_shapes, scene_at, wrist_positions
from runtime.calibration.variables import CHILD, PARENT, Scene
from tests.runtime.keypoints import SyntheticPairs, direction_deg, noiseless, synthetic_pairs
from tools.evaluate.two_views import sample_rig

ANGLES_DEG = (30, 75, 140)


def rig(angle_deg: float, seed: int = 0):
    return sample_rig(np.random.default_rng(seed), angle_deg, PerView(60.0, 80.0))


def focals(scene: Scene) -> PerView[float]:
    return PerView.of(scene.focal)


def true_start(truth: Scene) -> CameraEstimate:
    return CameraEstimate(focals(truth), truth.R_right_from_left, truth.t_right_from_left, scaled=True)


@pytest.fixture(scope="module")
def exact() -> SyntheticPairs:
    return noiseless(rig(75), 20)


def test_a_hand_of_known_shape_is_placed_exactly(exact: SyntheticPairs):
    for view in VIEWS:
        places = wrist_positions(exact.views[view], exact.scene.focal(view))
        np.testing.assert_allclose(places, exact.scene.in_view_axes(view)[:, 0], atol=1e-4)


def test_a_hand_twice_as_far_is_half_as_large(exact: SyntheticPairs):
    """A longer focal length moves a hand away, all but for its own depth."""
    near, far = (wrist_positions(exact.views.left, times * exact.scene.focal("left"))[:, 2] for times in (1, 2))
    np.testing.assert_allclose(far / near, 2, rtol=0.1)


def test_pixels_are_weighted_by_their_standard_deviations(exact: SyntheticPairs):
    keypoints, rng = exact.views.left, np.random.default_rng(0)
    wild = rng.random(keypoints.sigma_px.shape) < 0.2
    off = replace(
        keypoints,
        pixels=keypoints.pixels + wild[..., None] * 50.0,
        sigma_px=np.where(wild, 1e4, keypoints.sigma_px),
    )
    places = wrist_positions(off, exact.scene.focal("left"))
    np.testing.assert_allclose(places, exact.scene.joints[:, 0], atol=1e-3)


@pytest.mark.parametrize("apart_deg", ANGLES_DEG)
def test_relative_pose_is_estimated_despite_outliers(apart_deg: float):
    seen = synthetic_pairs(rig(apart_deg), 24, noise_px=1.5, outliers=0.1)
    start = from_essential(seen.views, focals(seen.scene), seed=0)
    assert start is not None and not start.scaled and start.focal_px == focals(seen.scene)
    assert angle_deg(start.R_right_from_left, seen.scene.R_right_from_left) < 3
    assert direction_deg(start.t_right_from_left, seen.scene.t_right_from_left) < 5


def test_the_same_seed_gives_the_same_pose():
    seen = synthetic_pairs(rig(75), 16)
    one, again = (from_essential(seen.views, focals(seen.scene), seed=3) for _ in range(2))
    assert one is not None and again is not None
    np.testing.assert_array_equal(one.R_right_from_left, again.R_right_from_left)
    np.testing.assert_array_equal(one.t_right_from_left, again.t_right_from_left)


def test_too_few_correspondences_give_no_pose(exact: SyntheticPairs):
    def almost_blind(keypoints: Keypoints) -> Keypoints:
        pixels = np.full_like(keypoints.pixels, np.nan)
        pixels[0, :3] = keypoints.pixels[0, :3]
        return replace(keypoints, pixels=pixels)

    assert from_essential(exact.views.map(almost_blind), focals(exact.scene), seed=0) is None


def test_exact_shapes_give_the_exact_pose(exact: SyntheticPairs):
    start, truth = from_shapes(exact.views, focals(exact.scene)), exact.scene
    assert start.scaled
    assert angle_deg(start.R_right_from_left, truth.R_right_from_left) < 1e-3
    np.testing.assert_allclose(start.t_right_from_left, truth.t_right_from_left, atol=1e-3)


@pytest.mark.parametrize("apart_deg", ANGLES_DEG)
def test_noisy_shapes_give_an_approximate_pose(apart_deg: float):
    seen = synthetic_pairs(rig(apart_deg), 24)
    start, truth = from_shapes(seen.views, focals(seen.scene)), seen.scene
    assert angle_deg(start.R_right_from_left, truth.R_right_from_left) < 20
    assert np.linalg.norm(start.t_right_from_left - truth.t_right_from_left) < 0.35 * np.linalg.norm(truth.t_right_from_left)


def test_outlier_pairs_do_not_change_the_pose_from_shapes(exact: SyntheticPairs):
    """In a quarter of the pairs the right view's shape has another rotation."""
    rng, shape = np.random.default_rng(1), exact.views.right.shape.copy()
    shape[::4] = shape[::4] @ from_vector(rng.normal(0, 1.5, 3)).T
    views = PerView(exact.views.left, replace(exact.views.right, shape=shape))
    start = from_shapes(views, focals(exact.scene))
    assert angle_deg(start.R_right_from_left, exact.scene.R_right_from_left) < 1e-3


def test_true_cameras_give_the_true_joints(exact: SyntheticPairs):
    truth = exact.scene
    scene = scene_at(true_start(truth), exact.views, np.exp(truth.log_bones))
    np.testing.assert_allclose(scene.joints, truth.joints, atol=1e-3)
    np.testing.assert_allclose(scene.log_focal, truth.log_focal)
    np.testing.assert_array_equal(scene.t_right_from_left, truth.t_right_from_left)


@pytest.mark.parametrize("larger", [1.0, 3.0])
def test_an_unscaled_estimate_is_scaled_by_the_bone_lengths(exact: SyntheticPairs, larger: float):
    truth = exact.scene
    unit = truth.t_right_from_left / np.linalg.norm(truth.t_right_from_left)
    start = replace(true_start(truth), t_right_from_left=unit, scaled=False)
    scene = scene_at(start, exact.views, larger * np.exp(truth.log_bones))
    np.testing.assert_allclose(scene.joints, larger * truth.joints, atol=0.01)
    np.testing.assert_allclose(scene.t_right_from_left, larger * truth.t_right_from_left, rtol=1e-3)
    length = np.linalg.norm(scene.joints[:, CHILD] - scene.joints[:, PARENT], axis=-1)
    np.testing.assert_allclose(np.median(length / np.exp(scene.log_bones)), 1, rtol=1e-3)


@pytest.mark.parametrize("off_px", [-300.0, 300.0])
def test_depth_of_an_outlier_joint_is_clamped_to_its_hand(exact: SyntheticPairs, off_px: float):
    truth, start, off = exact.scene, true_start(exact.scene), exact.views.right.pixels.copy()
    off[2, 8, 0] += off_px
    views = PerView(exact.views.left, replace(exact.views.right, pixels=off))
    pixels, sigma_px = views.map(lambda keypoints: keypoints.pixels), views.map(lambda keypoints: keypoints.sigma_px)
    met = start.geometry(views).triangulate(pixels, sigma_px)
    joints = scene_at(start, views, np.exp(truth.log_bones)).joints
    # Where rays meet is kept in direction, and in depth as far as a hand reaches.
    np.testing.assert_allclose(joints[..., :2] / joints[..., 2:], met[..., :2] / met[..., 2:], atol=1e-9)
    deep = [np.abs(points - truth.joints)[2, 8, 2] for points in (met, joints)]
    assert deep[0] > 2 > deep[1], deep


def test_depth_is_bounded_for_nearly_parallel_rays(exact: SyntheticPairs):
    truth = exact.scene
    start = CameraEstimate(focals(truth), np.eye(3), np.array([1e-3, 0.0, 0.0]), scaled=True)
    same = PerView(exact.views.left, replace(exact.views.right, pixels=exact.views.left.pixels))
    joints = scene_at(start, same, np.exp(truth.log_bones)).joints
    assert np.isfinite(joints).all() and joints[..., 2].min() > 0 and joints[..., 2].max() < MAX_DEPTH + 5
