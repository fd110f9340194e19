"""Claims count what noise does not show: landmarks that are off in every pair, and other solutions, for the hand too."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from hand.joints import JOINTS, unit_hand
from hand.rotations import from_vector
from runtime.calibration.bundle import Bundle, Keypoints
from runtime.calibration.claims import claimed_covariance, difference, hand_error, uncertainty
from runtime.calibration.landmark_bias import bias_moves, hand_axes
from runtime.calibration.minimizer import minimize, refine_joints
from runtime.calibration.noise import Eliminated
from runtime.calibration.robust_losses import FINAL_LOSSES
from runtime.calibration.variables import BONE, GLOBALS, SHIFT, TURN, Scene
from tests.runtime.keypoints import SyntheticPairs, noiseless, prior_at
from tools.evaluate.two_views import sample_rig

PAIRS = 16


@pytest.fixture(scope="module")
def exact() -> SyntheticPairs:
    """Cameras 70° apart, of different fields of view."""
    return noiseless(sample_rig(np.random.default_rng(0), 70, PerView(60.0, 75.0)), PAIRS)


@pytest.fixture(scope="module")
def bundle(exact: SyntheticPairs) -> Bundle:
    return bundle_of(exact, exact.views)


def bundle_of(exact: SyntheticPairs, views: PerView[Keypoints]) -> Bundle:
    return Bundle(views, prior_at(exact.scene, equal_sigma=float("inf")), FINAL_LOSSES)


def biased(exact: SyntheticPairs, offsets: np.ndarray) -> PerView[Keypoints]:
    """Keypoints of joints that each view sees `offsets` (2, 21, 3) away, hands, hand's own axes."""
    R, scene = hand_axes(exact.scene.joints), exact.scene

    def seen(view: View) -> Keypoints:
        moved = replace(scene, joints=scene.joints + offsets[VIEWS.index(view)] @ R.swapaxes(1, 2)).in_view_axes(view)
        keypoints = exact.views[view]
        return replace(keypoints, pixels=scene.focal(view) * moved[..., :2] / moved[..., 2:] + keypoints.centre_px)

    return PerView.of(seen)


def test_biased_landmarks_move_the_minimum_as_predicted(exact: SyntheticPairs, bundle: Bundle):
    offsets = np.random.default_rng(3).normal(0, 0.002, (len(VIEWS), JOINTS, 3))
    predicted = np.einsum("gvjb,vjb->g", bias_moves(bundle, exact.scene, Eliminated.of(bundle, exact.scene)), offsets)
    found, _ = minimize(bundle_of(exact, biased(exact, offsets)), exact.scene, 40, 1e-12)
    moved = difference(found, exact.scene)
    # Focal lengths, rotation and place; by the length of what they move by.
    cameras = slice(0, BONE.start)
    assert np.linalg.norm(moved[cameras]) > 1e-3
    assert np.linalg.norm(predicted[cameras] - moved[cameras]) < 0.05 * np.linalg.norm(moved[cameras])


def test_hand_axes_turn_with_the_hand(exact: SyntheticPairs):
    turn = from_vector(np.array([0.3, -0.8, 0.4]))
    still, turned = hand_axes(exact.scene.joints), hand_axes(exact.scene.joints @ turn.T)
    np.testing.assert_allclose(turned @ turned[0].T, turn @ still @ still[0].T @ turn.T, atol=1e-6)


def test_another_solution_widens_the_claim_by_how_far_it_is(exact: SyntheticPairs, bundle: Bundle):
    scene, cluster = exact.scene, np.arange(PAIRS)
    alone = claimed_covariance(bundle, scene, cluster)
    step = np.zeros(GLOBALS)
    step[TURN] = np.radians([0.0, 6.0, 0.0])
    other = scene.moved(step, np.zeros_like(scene.joints))
    before, after = (uncertainty(bundle, scene, c) for c in (alone, claimed_covariance(bundle, scene, cluster, other)))
    assert after.rotation_deg == pytest.approx(np.hypot(before.rotation_deg, 6), rel=1e-3)
    assert after.baseline_deg == pytest.approx(before.baseline_deg)
    assert 0 < before.rotation_deg < 6 and before.hand_mm is not None and after.hand_mm is not None
    assert 0 < before.hand_mm < after.hand_mm


@pytest.mark.parametrize("unknown", [TURN.start + 1, SHIFT.start, SHIFT.start + 2, 0, BONE.start + 2])
def test_the_hands_error_is_how_far_its_joints_follow_the_cameras(exact: SyntheticPairs, bundle: Bundle, unknown: int):
    step = np.zeros(GLOBALS)
    step[unknown] = 0.004
    start = exact.scene
    moved: Scene = start.moved(step, np.zeros_like(start.joints))
    moved, *_ = refine_joints(bundle, moved, np.full(PAIRS, 1e-3), 30)
    errors = [
        np.linalg.norm(
            unit_hand(moved.joints) @ moved.R_from_left(v).T - unit_hand(start.joints) @ start.R_from_left(v).T, axis=-1
        )
        for v in VIEWS
    ]
    claimed = hand_error(bundle, start, np.outer(step, step))
    assert claimed == pytest.approx(float(np.mean(errors)), rel=0.1)
    assert hand_error(bundle, start, 4 * np.outer(step, step)) == pytest.approx(2 * claimed)
