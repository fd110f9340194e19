"""The solver finds poses and focal lengths of both cameras with their uncertainty, from synthetic hands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from capture.views import VIEWS, PerView
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.joints import BONES, DEFAULT_HAND_SIZE_MM
from hand.model import HandModel
from hand.rotations import angle_deg
from runtime.calibration.initialization import CameraEstimate
from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.variables import CHILD, PARENT, Prior
from tests.runtime.keypoints import SyntheticPairs, direction_deg, synthetic_pairs
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import SIZE_PX, sample_rig

PAIRS = 16
SHAPE_DISTRUST = 4.0
"""Standard deviations of shapes are enlarged, as errors of one view are correlated."""


def problem(fov_deg: PerView[float], apart_deg: float = 80, seed: int = 0, given: bool = False) -> tuple[Problem, SyntheticPairs]:
    """Hands as the network sees them, cameras of which nothing, or the fields of view, are known; and the truth."""
    rig = sample_rig(np.random.default_rng(seed), apart_deg, fov_deg)
    seen = synthetic_pairs(rig, PAIRS, seed, assumed_fov_deg=DEFAULT_FOV_DEG)
    views = seen.views.map(lambda keypoints: replace(keypoints, shape_sigma=SHAPE_DISTRUST * keypoints.shape_sigma))
    assumed = float(np.log(PinholeCamera.from_fov(*SIZE_PX, DEFAULT_FOV_DEG).focal_px))
    log_focal = PerView(*map(float, seen.scene.log_focal)) if given else PerView(assumed, assumed)
    sigma = 0.0 if given else 0.35
    prior = Prior(log_focal, PerView(sigma, sigma), 0.03, usual_bones(), bone_sigma=0.1, bone_noise=0.05)
    return Problem(views, seen.time_ns, prior), seen


def usual_bones() -> np.ndarray:
    """(20,) of the hand model's middle person, hands."""
    person = torch.zeros(HandModel.load().components)
    joints = sample_motion(np.random.default_rng(0), 1 / 30, person=person)[0] / DEFAULT_HAND_SIZE_MM
    return np.linalg.norm(joints[CHILD] - joints[PARENT], axis=-1)


def true_start(truth: SyntheticPairs) -> CameraEstimate:
    scene = truth.scene
    return CameraEstimate(PerView.of(scene.focal), scene.R_right_from_left, scene.t_right_from_left, scaled=True)


def solved(problem: Problem) -> Solution:
    solution = solve(problem)
    assert solution is not None
    return solution


def assert_near(solution: Solution, truth: SyntheticPairs, rotation_deg: float, baseline_deg: float) -> None:
    """Within so many degrees, and within three of the deviations that the solution claims."""
    start, claimed, scene = solution.cameras, solution.uncertainty, truth.scene
    off_deg = float(angle_deg(start.R_right_from_left, scene.R_right_from_left))
    aside_deg = direction_deg(start.t_right_from_left, scene.t_right_from_left)
    assert off_deg < min(rotation_deg, 3 * claimed.rotation_deg)
    assert aside_deg < min(baseline_deg, 3 * claimed.baseline_deg)
    assert 0 < claimed.rotation_deg < 5 and 0 < claimed.baseline_deg < 8


@pytest.fixture(scope="module")
def equal() -> tuple[Problem, SyntheticPairs, Solution]:
    """Two cameras of 72°, with 60° as the prior."""
    asked, truth = problem(PerView(72.0, 72.0))
    return asked, truth, solved(asked)


def test_unknown_equal_cameras_are_solved_as_equal(equal: tuple[Problem, SyntheticPairs, Solution]):
    _asked, truth, solution = equal
    assert_near(solution, truth, 4, 6)
    start, claimed = solution.cameras, solution.uncertainty.focal_percent
    for view, true in zip(VIEWS, np.exp(truth.scene.log_focal), strict=True):
        off_percent = 100 * abs(start.focal_px[view] / true - 1)
        assert off_percent < min(12, 3 * claimed[view])
    assert start.focal_px.left == pytest.approx(start.focal_px.right, rel=0.05)
    assert start.scaled and solution.pairs == PAIRS and solution.bones.shape == (len(BONES),)
    np.testing.assert_allclose(solution.bones, np.exp(truth.scene.log_bones), rtol=0.2)
    assert solution.inliers > 0.7 and solution.error_correlation >= 1


def test_known_focal_lengths_are_kept_and_lower_the_uncertainty(equal: tuple[Problem, SyntheticPairs, Solution]):
    asked, truth = problem(PerView(72.0, 72.0), given=True)
    solution = solved(asked)
    assert_near(solution, truth, 3, 4)
    np.testing.assert_allclose([*solution.cameras.focal_px], np.exp(truth.scene.log_focal), rtol=1e-12)
    assert [*solution.uncertainty.focal_percent] == [0, 0]
    assert solution.uncertainty.rotation_deg < equal[2].uncertainty.rotation_deg


def test_exchanged_views_give_the_same_cameras(equal: tuple[Problem, SyntheticPairs, Solution]):
    asked, _, solution = equal
    views = PerView(asked.views.right, asked.views.left)
    exchanged = solved(replace(asked, views=views)).cameras
    assert angle_deg(exchanged.R_right_from_left.T, solution.cameras.R_right_from_left) < 1
    t = -exchanged.R_right_from_left.T @ exchanged.t_right_from_left
    assert direction_deg(t, solution.cameras.t_right_from_left) < 2
    assert exchanged.focal_px.right == pytest.approx(solution.cameras.focal_px.left, rel=0.03)


def test_unequal_cameras_are_solved_as_unequal():
    """With equal cameras as the prior."""
    asked, truth = problem(PerView(50.0, 100.0), seed=1)
    middle = float(np.exp(truth.scene.log_focal.mean()))
    known = replace(true_start(truth), focal_px=PerView(middle, middle))
    solution = solved(replace(asked, known=known, search=False))
    assert_near(solution, truth, 6, 8)
    left, right = np.exp(truth.scene.log_focal)
    assert solution.cameras.focal_px.left / solution.cameras.focal_px.right == pytest.approx(left / right, rel=0.2)


def test_solving_is_deterministic_bit_for_bit():
    asked, _ = problem(PerView(72.0, 72.0), given=True)
    one, again = (solved(asked.subsampled(8)) for _ in range(2))
    assert repr(one) == repr(again)
    np.testing.assert_array_equal(one.cameras.R_right_from_left, again.cameras.R_right_from_left)
    np.testing.assert_array_equal(one.cameras.t_right_from_left, again.cameras.t_right_from_left)
    np.testing.assert_array_equal(one.bones, again.bones)


def test_without_a_search_the_known_cameras_are_the_initialization(equal: tuple[Problem, SyntheticPairs, Solution]):
    asked, truth, solution = equal
    assert solve(replace(asked, search=False)) is None
    again = solved(replace(asked, known=true_start(truth), search=False))
    assert_near(again, truth, 4, 6)
    assert again.rival == float("inf")
    assert angle_deg(again.cameras.R_right_from_left, solution.cameras.R_right_from_left) < 2


@pytest.mark.parametrize("count", [1, 5, PAIRS - 1])
def test_a_subsampled_problem_holds_some_of_its_pairs_in_order(equal: tuple[Problem, SyntheticPairs, Solution], count: int):
    asked = equal[0]
    few, again = asked.subsampled(count), asked.subsampled(count)
    assert len(few.time_ns) == count and (np.diff(few.time_ns) > 0).all()
    chosen = np.flatnonzero(np.isin(asked.time_ns, few.time_ns))
    assert len(chosen) == count and chosen[0] == 0
    assert np.ptp(np.diff(chosen)) <= 1 if count > 1 else True
    for view in VIEWS:
        np.testing.assert_array_equal(few.views[view].pixels, asked.views[view].pixels[chosen])
        np.testing.assert_array_equal(few.views[view].sigma_px, again.views[view].sigma_px)
        np.testing.assert_array_equal(few.views[view].shape, asked.views[view].shape[chosen])
    assert few.prior is asked.prior
    assert asked.subsampled(PAIRS) is asked and asked.subsampled(1000) is asked
