"""The rig calibrates on pairs that are not held out, and merges by geometry only where that predicts better."""

import multiprocessing

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import BackgroundSolver, InlineSolver
from runtime.calibration.status import MergeDecision
from runtime.fusion.merge_validation import HOLD_OUT_INTERVAL
from tests.runtime.solutions import FixedSolver, bones_of, elsewhere
from tests.runtime.tracked import FPS, Tracked, moving_hand, tracked
from tools.evaluate.two_views import Observed


@pytest.fixture(scope="module")
def moving() -> Observed:
    return moving_hand()


def test_merge_by_rotation_runs_no_calibration(moving: Observed):
    one, solver = tracked("rotation", moving)
    hands = [hand for hand in one.stream(moving) if hand]
    assert solver.problems == [] and one.rig.state.geometry is None and one.rig.status is None
    assert all(hand.geometry is None and hand.wrist_mm is None for hand in hands)
    assert one.rig.reliable_rotation is one.rig.rotation.rotation is not None


def test_held_out_pairs_are_not_calibrated_on(moving: Observed):
    one, solver = tracked("auto", moving)
    one.stream(moving)
    pairs = [pair for pair in moving.pairs if pair]
    held = np.array([pair.left.pixels for pair in pairs[HOLD_OUT_INTERVAL - 1 :: HOLD_OUT_INTERVAL]])
    used = np.concatenate([problem.views.left.pixels for problem in solver.problems])
    assert not any((used == pixels).all((1, 2)).any() for pixels in held)


def test_hands_of_a_wrong_geometry_are_used_only_where_forced(moving: Observed):
    wrong = elsewhere(moving.rig.geometry, 25)
    one, _ = tracked("auto", moving, wrong)
    hands, by_rotation = one.stream(moving), tracked("rotation", moving)[0].stream(moving)
    assert one.rig.status and one.rig.status.merge is MergeDecision.ROTATION
    last, other = hands[-1], by_rotation[-1]
    assert last and other and np.array_equal(last.joints, other.joints), "joints come from the rotation alone"
    assert last.geometry is one.rig.state.geometry is not None and last.wrist_mm is not None, "the place comes from the geometry"
    insisting, _ = tracked("geometry", moving, wrong)
    forced = insisting.stream(moving)[-1]
    assert forced and not np.allclose(forced.joints, other.joints, atol=0.01)
    assert insisting.rig.status and insisting.rig.status.merge is MergeDecision.GEOMETRY


def test_a_given_geometry_is_merged_by_until_rotation_is_clearly_better(moving: Observed):
    given = moving.rig.geometry
    one = Tracked.of(
        "auto", SelfCalibrator(moving.sizes_px, PerView(None, None), given=given), FixedSolver(given, bones_of(moving))
    )
    hands = one.stream(moving)
    assert all(hand.geometry is given and hand.wrist_mm is not None for hand in hands if hand), "from the first hand on"
    assert one.rig.merges_by_geometry and one.rig.status and one.rig.status.merge is MergeDecision.GEOMETRY
    wrong = elsewhere(given, 25)
    other = Tracked.of(
        "auto", SelfCalibrator(moving.sizes_px, PerView(None, None), given=wrong), FixedSolver(wrong, bones_of(moving))
    )
    other.stream(moving, 0, 5)
    assert other.rig.merges_by_geometry
    other.stream(moving, 5)
    assert not other.rig.merges_by_geometry and other.rig.status and other.rig.status.merge is MergeDecision.ROTATION


def test_both_ways_of_merging_are_compared_every_second(moving: Observed):
    """Without a new solution: one that comes every six seconds must not decide for as long."""
    given = moving.rig.geometry
    one = Tracked.of(
        "auto", SelfCalibrator(moving.sizes_px, PerView(None, None), given=given), FixedSolver(given, bones_of(moving))
    )
    seen = []
    for number in range(len(moving.pairs)):
        one.stream(moving, number, number + 1)
        seen.append((one.rig.state.version, one.rig.merge_errors))
    versions = {version for version, errors in seen if errors}
    assert len({errors for _, errors in seen if errors}) > len(versions)


def test_forget_resets_rotation_and_calibration(moving: Observed):
    one, solver = tracked("auto", moving)
    one.stream(moving, 0, 3 * FPS)
    assert one.rig.state.geometry is not None
    one.rig.forget()
    assert one.rig.state.geometry is None and one.rig.reliable_rotation is None and one.rig.rotation.count == 0
    asked = len(solver.problems)
    one.stream(moving, 3 * FPS, 3 * FPS + 3)
    assert len(solver.problems) == asked and one.rig.state.geometry is None


def test_a_given_calibration_is_used_from_the_first_pair(moving: Observed):
    """With the real solver: bone lengths are estimated, cameras are kept."""
    given = moving.rig.geometry
    calibrator = SelfCalibrator(moving.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM, given=given)
    usual, true = calibrator.state.bones, bones_of(moving)
    one = Tracked.of("geometry", calibrator, InlineSolver())
    assert [hand.geometry for hand in one.stream(moving, 0, 1) if hand] == [given]
    one.stream(moving, 1, 40)
    state = one.rig.state
    assert state.geometry is given and one.rig.reliable_rotation is given.R_right_from_left
    assert state.uncertainty is not None, "hands have confirmed it"
    assert usual is not None and state.bones is not None
    assert np.abs(np.log(state.bones / true)).mean() < np.abs(np.log(usual / true)).mean()


def test_tracking_continues_without_the_solver_and_status_is_stopped(moving: Observed):
    solver = BackgroundSolver()
    (process,) = multiprocessing.active_children()
    one = Tracked.of("auto", SelfCalibrator(moving.sizes_px, PerView(None, None), DEFAULT_HAND_SIZE_MM), solver)
    process.kill()
    process.join()
    hands = one.stream(moving, 0, FPS)
    solver.close()
    assert all(hand is not None for hand, pair in zip(hands, moving.pairs, strict=False) if pair)
    assert one.rig.status is not None and one.rig.status.stopped
