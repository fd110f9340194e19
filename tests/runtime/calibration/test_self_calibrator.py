"""Only consistent solutions are accepted, rejections have a typed reason, and a moved camera is detected."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.rotations import angle_deg
from runtime.calibration.self_calibrator import (
    FIRST_PAIRS,
    NEW_PAIRS,
    REFINE_INTERVAL_NS,
    SOLVE_INTERVAL_NS,
    CalibrationState,
    SelfCalibrator,
)
from runtime.calibration.solver import Problem, solve
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason
from runtime.geometry.two_view import TwoViewGeometry
from tests.runtime.solutions import FixedSolver, bones_of, elsewhere, solution_at, turned
from tools.evaluate import faults, motion, two_views
from tools.evaluate.geometry_errors import problems
from tools.evaluate.motion import sample_motion, sample_person
from tools.evaluate.two_views import Observed, observe, sample_rig

UNKNOWN: PerView[float | None] = PerView(None, None)
SLOW = 8.0
"""Pairs a second of the streams for the real solver: few, to save time."""
FOVS: PerView[float | None] = PerView(65.0, 65.0)
RIG = sample_rig(np.random.default_rng(0), 60, PerView(65.0, 65.0))


def observation(joints_mm: np.ndarray, rig: two_views.Rig = RIG, fps: float = SLOW, seed: int = 5) -> Observed:
    return observe(np.random.default_rng(seed), rig, joints_mm, fps=fps, assumed_fov_deg=60)


def moving(seconds: float, fps: float = SLOW, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return sample_motion(rng, seconds, fps, sample_person(np.random.default_rng(0)))


def calibrator(fov_deg: PerView[float | None] = UNKNOWN, **options) -> SelfCalibrator:
    return SelfCalibrator(PerView(two_views.SIZE_PX, two_views.SIZE_PX), fov_deg, DEFAULT_HAND_SIZE_MM, **options)


def calibrate(
    observed: Observed, by: SelfCalibrator, solver: FixedSolver | None = None
) -> list[tuple[CalibrationStatus, CalibrationState]]:
    """Stream the pairs; status and state after each solution of `solver`, or of the real solver."""
    states = []
    for _, problem in problems(observed, by):
        if solver is None:
            by.accept(solve(problem))
        else:
            solver.submit(problem)
            by.accept(*(solver.done() or ()))
        states.append((by.status, by.state))
    return states


def error_deg(geometry: TwoViewGeometry | None, truth: TwoViewGeometry) -> float:
    assert geometry is not None
    return float(angle_deg(geometry.R_right_from_left, truth.R_right_from_left))


# With the real solver


@pytest.fixture(scope="module")
def hand() -> Observed:
    return observation(moving(4.6))


@pytest.fixture(scope="module")
def calibrated(hand: Observed) -> tuple[SelfCalibrator, list[tuple[CalibrationStatus, CalibrationState]]]:
    by = calibrator()
    return by, calibrate(hand, by)


def test_varied_motion_is_calibrated_within_the_claimed_uncertainty(calibrated):
    by, states = calibrated
    state = by.state
    assert states[0][1].geometry is None, "one solution alone is not accepted"
    assert state.geometry is not None and state.uncertainty is not None and state.bones is not None
    off = error_deg(state.geometry, RIG.geometry)
    assert off < 4 and off < 3 * state.uncertainty.rotation_deg
    assert by.status.phase is CalibrationPhase.CALIBRATED and by.status.progress == 1 and by.status.figures is not None
    assert by.status.figures.uncertainty == state.uncertainty
    assert by.status.figures.angle_deg == pytest.approx(state.geometry.angle_deg)
    assert state.pairs > FIRST_PAIRS and state.bones.shape == (20,)


def test_a_still_hand_submits_no_problem():
    by = calibrator()
    assert calibrate(observation(motion.still(np.random.default_rng(3), 4.0, SLOW)), by) == []
    assert by.state.geometry is None and by.status.phase is CalibrationPhase.NEEDS_MOTION and by.status.progress <= 0.5


def test_a_hand_in_one_place_is_accepted_only_where_accurate():
    by = calibrator(FOVS)
    for status, state in calibrate(observation(motion.in_place(np.random.default_rng(3), 3.6, SLOW)), by):
        if state.geometry is None:
            more_motion = {RejectionReason.TOO_UNCERTAIN, RejectionReason.AMBIGUOUS}
            assert status.phase is CalibrationPhase.VERIFYING or status.rejection in more_motion
        else:
            off = error_deg(state.geometry, RIG.geometry)
            assert state.uncertainty is not None and off < 4 and off < 3 * state.uncertainty.rotation_deg


@pytest.mark.parametrize("fault", ["another hand", "late", "mirrored"])
def test_inconsistent_views_are_rejected_with_the_reason(hand: Observed, fault: str):
    short = replace(hand, captured_ns=hand.captured_ns[:30], pairs=hand.pairs[:30], joints_mm=hand.joints_mm[:30])
    stream, reason = {
        "another hand": (faults.two_hands(short, observation(moving(30 / SLOW, seed=6))), RejectionReason.VIEWS_DISAGREE),
        # 2 frames of 8 a second are 8 of 30.
        "late": (faults.unsynchronised(short, 2), RejectionReason.VIEWS_DISAGREE),
        "mirrored": (faults.mirrored(short), RejectionReason.SHAPE_MISMATCH),
    }[fault]
    by = calibrator(FOVS)
    states = calibrate(stream, by)
    assert states and all(state.geometry is None for _, state in states)
    assert by.status.phase is CalibrationPhase.REJECTED and by.status.rejection is reason


def test_a_frozen_view_is_named_and_submits_no_problem(hand: Observed):
    by = calibrator()
    assert calibrate(faults.frozen(hand, 0.1), by) == []
    assert by.state.geometry is None and by.status.phase is CalibrationPhase.VIEW_FROZEN and by.status.view == "right"


def test_remembered_cameras_are_confirmed_by_the_first_solution(hand: Observed):
    by = calibrator(FOVS, remembered=turned(RIG.geometry, 1))
    assert by.state.geometry is None, "remembered cameras are used once a solution confirms them"
    first = next(state for _, state in calibrate(replace(hand, pairs=hand.pairs[:28], captured_ns=hand.captured_ns[:28]), by))
    assert error_deg(first.geometry, RIG.geometry) < 4


def test_wrong_remembered_cameras_are_never_used(hand: Observed):
    wrong = turned(RIG.geometry, 40)
    by = calibrator(FOVS, remembered=wrong)
    for _, state in calibrate(hand, by):
        assert state.geometry is None or error_deg(state.geometry, RIG.geometry) < 4


def test_given_fields_of_view_are_kept_exactly(hand: Observed):
    """They replace those of a profile."""
    profile = TwoViewGeometry(
        RIG.geometry.cameras.map(lambda camera: replace(camera, focal_px=camera.focal_px * 1.1)),
        RIG.geometry.R_right_from_left,
        RIG.geometry.t_right_from_left_mm,
    )
    by = calibrator(FOVS, remembered=profile)
    problem = first_problem(by, hand)
    solution = solve(problem)
    assert solution is not None
    expected = PinholeCamera.from_fov(*two_views.SIZE_PX, 65).focal_px
    assert list(solution.cameras.focal_px) == pytest.approx([expected, expected], rel=1e-12)
    assert solution.uncertainty.focal_percent == PerView(0, 0)


def first_problem(by: SelfCalibrator, observed: Observed) -> Problem:
    """The first problem of a stream."""
    return next(problem for _, problem in problems(observed, by))


# With given solutions


@pytest.fixture(scope="module")
def quick() -> Observed:
    """2.5 seconds at 30 pairs a second."""
    return observation(moving(2.5, 30), fps=30)


def calibrated_on(observed: Observed, seconds: float = 2.5, **options) -> tuple[SelfCalibrator, FixedSolver]:
    """A calibrator that has accepted the true cameras."""
    by, solver = calibrator(), FixedSolver(RIG.geometry, bones_of(observed), **options)
    frames = int(seconds * 30)
    calibrate(replace(observed, pairs=observed.pairs[:frames], captured_ns=observed.captured_ns[:frames]), by, solver)
    assert by.state.geometry is not None
    return by, solver


def test_a_solution_is_accepted_once_a_second_one_agrees(quick: Observed):
    by, bones = calibrator(), bones_of(quick)
    problem = first_problem(by, quick)
    by.accept(solution_at(RIG.geometry, bones, epoch=problem.epoch))
    assert by.state.geometry is None and by.status.phase is CalibrationPhase.VERIFYING and by.status.progress == 0.75
    for other in (turned(RIG.geometry, 8), elsewhere(RIG.geometry, 8), turned(RIG.geometry, -8)):
        by.accept(solution_at(other, bones))
        assert by.state.geometry is None
    by.accept(solution_at(turned(RIG.geometry, -8.5), bones))
    assert error_deg(by.state.geometry, turned(RIG.geometry, -8.5)) < 1e-6 and by.state.version == 1


def test_no_problem_before_enough_pairs_or_while_one_is_being_solved(quick: Observed):
    by, pairs = calibrator(), 0
    stream = zip(quick.captured_ns.tolist(), quick.pairs, strict=True)
    problem = None
    for captured_ns, pair in stream:
        if pair is not None:
            by.add(captured_ns, pair)
            pairs += 1
        problem = by.due(captured_ns)
        if problem is not None:
            break
        assert pairs < FIRST_PAIRS or captured_ns - quick.captured_ns[0] < 10**9
    assert problem is not None and pairs >= FIRST_PAIRS and len(problem.time_ns) == pairs
    late = 0
    for captured_ns, pair in stream:
        if pair is not None:
            by.add(captured_ns, pair)
            late += 1
        assert by.due(captured_ns) is None
    end = int(quick.captured_ns[-1])
    by.accept(None)
    assert late >= NEW_PAIRS and by.due(end) is not None
    by.accept(None)
    assert by.due(end + 10**10) is None, "no pair is new"


def test_equal_pairs_give_equal_problems_and_states(quick: Observed):
    one, other = calibrated_on(quick), calibrated_on(quick)
    assert len(one[1].problems) == len(other[1].problems) > 1
    for mine, yours in zip(one[1].problems, other[1].problems, strict=True):
        for view in ("left", "right"):
            np.testing.assert_array_equal(mine.views[view].pixels, yours.views[view].pixels)
            np.testing.assert_array_equal(mine.views[view].sigma_px, yours.views[view].sigma_px)
        np.testing.assert_array_equal(mine.time_ns, yours.time_ns)
    assert one[0].status == other[0].status and one[0].state.version == other[0].state.version


def test_hands_of_low_confidence_or_different_handedness_are_skipped(quick: Observed):
    pairs = [pair for pair in quick.pairs if pair is not None]
    for change in ({"side": "left"}, {"confidence": np.full(21, 0.1)}):
        by = calibrator()
        for number, pair in enumerate(pairs):
            by.add(int(quick.captured_ns[number]), PerView(replace(pair.left, **change), pair.right))
        assert by.due(int(quick.captured_ns[-1])) is None


def test_repeated_rejected_solutions_are_never_accepted(quick: Observed):
    bones = bones_of(quick)
    ambiguous = solution_at(RIG.geometry, bones, rival=0.5)
    by = calibrator()
    for _ in range(3):
        by.accept(ambiguous)
        assert by.state.geometry is None and by.status.rejection is RejectionReason.AMBIGUOUS
    by, _ = calibrated_on(quick)
    before, status = by.state, by.status
    by.accept(ambiguous)
    assert by.state.geometry is before.geometry, "one rejected solution does not replace an accepted one"
    assert by.status == status


@pytest.fixture(scope="module")
def moved() -> Observed:
    """The right camera is moved by 20° after two seconds."""
    rng = np.random.default_rng(7)
    joints = moving(4.5, 30)
    before, after = observation(joints, fps=30), observation(joints, two_views.moved(rng, RIG, 20), fps=30, seed=6)
    return faults.then(before, after, 2.0)


def test_a_moved_camera_is_detected_within_two_seconds_and_recalibrated(moved: Observed):
    by, _ = calibrated_on(moved, 2.0)
    start, noticed_ns = int(moved.captured_ns[60]), None
    solver = FixedSolver(moved.rig.geometry, bones_of(moved))
    pending: Problem | None = None
    for captured_ns, pair in zip(moved.captured_ns[60:].tolist(), moved.pairs[60:], strict=True):
        if pair is not None:
            by.add(captured_ns, pair)
        if noticed_ns is None and by.state.moved:
            noticed_ns = captured_ns
            assert by.state.geometry is None and by.status.phase is CalibrationPhase.MOVED
        pending = by.due(captured_ns)
        if pending is not None:
            assert noticed_ns is None or pending.time_ns.min() >= noticed_ns - 10**9, "keyframes from before are dropped"
            solver.submit(pending)
            by.accept(*(solver.done() or ()))
    assert noticed_ns is not None and noticed_ns - start < 2 * 10**9 and by.state.moved == 1
    assert error_deg(by.state.geometry, moved.rig.geometry) < 1e-6


def test_a_static_camera_is_not_reported_as_moved(quick: Observed):
    for seed in range(3):
        longer = observation(moving(6, 30, seed=seed + 10), fps=30, seed=seed)
        by, solver = calibrator(), FixedSolver(RIG.geometry, bones_of(longer))
        calibrate(longer, by, solver)
        assert by.state.moved == 0 and by.state.geometry is not None


def test_a_solution_of_an_earlier_epoch_is_ignored(moved: Observed):
    by, _ = calibrated_on(moved, 2.0)
    bones = bones_of(moved)
    before = by.state.geometry
    assert before is not None
    old = None
    for captured_ns, pair in zip(moved.captured_ns[60:].tolist(), moved.pairs[60:], strict=True):
        if pair is not None:
            by.add(captured_ns, pair)
        old = old or by.due(captured_ns + 10**10)
        if by.state.moved:
            break
    assert old is not None and by.state.moved
    for _ in range(3):
        by.accept(solution_at(before, bones, epoch=old.epoch))
        assert by.state.geometry is None
    new = old.epoch + 1
    for _ in range(2):
        by.accept(solution_at(moved.rig.geometry, bones, epoch=new))
    assert by.state.geometry is not None


def test_a_given_calibration_is_kept_and_bone_lengths_are_estimated(quick: Observed):
    given = turned(RIG.geometry, 10)
    by = calibrator(given=given)
    first = by.state
    assert first.geometry is given and first.bones is not None and first.version == 1
    bones = bones_of(quick)
    solver = FixedSolver(RIG.geometry, bones)
    calibrate(quick, by, solver)
    problem = solver.problems[0]
    assert not problem.search and not problem.prior.place and problem.prior.focal_sigma == PerView(0.0, 0.0)
    state = by.state
    assert state.geometry is given and state.bones is bones and state.version > 1 and state.moved == 0
    by.forget()
    assert by.state.geometry is given


def test_forget_restarts_calibration_and_ignores_the_pending_solution(quick: Observed):
    by, solver = calibrated_on(quick)
    by.forget()
    assert by.state.geometry is None and by.due(int(quick.captured_ns[-1]) + 10**10) is None
    by.accept(solution_at(RIG.geometry, bones_of(quick), epoch=solver.problems[-1].epoch))
    assert by.state.geometry is None and by.status.phase is CalibrationPhase.NO_HANDS


def test_some_later_problems_search_other_initializations(quick: Observed):
    longer = observation(moving(9, 30), fps=30)
    by = calibrator()
    solver = FixedSolver(RIG.geometry, bones_of(longer), rotation_deg=3.0)
    calibrate(longer, by, solver)
    searched = [problem.search for problem in solver.problems]
    assert searched[:2] == [True, True] and False in searched[2:6] and True in searched[2:6]


def test_two_agreeing_solutions_replace_wrong_cameras(quick: Observed):
    bones, wrong = bones_of(quick), turned(RIG.geometry, 8)
    by = calibrator()
    first_problem(by, quick)
    for _ in range(2):
        by.accept(solution_at(wrong, bones))
    assert error_deg(by.state.geometry, wrong) < 1e-6
    for _ in range(2):
        by.accept(solution_at(RIG.geometry, bones))
    assert error_deg(by.state.geometry, RIG.geometry) < 1e-6


def held_out_every(observed: Observed, by: SelfCalibrator, every: int = 5) -> None:
    """Give the calibrator the pairs that it must not solve on."""
    for number in range(0, len(observed.pairs), every):
        pair = observed.pairs[number]
        if pair is not None:
            by.hold_out(int(observed.captured_ns[number]), pair)


def test_solutions_that_explain_held_out_pairs_worse_are_never_taken(quick: Observed):
    by, _ = calibrated_on(quick)
    held_out_every(quick, by)
    bones, right = bones_of(quick), by.state.geometry
    for _ in range(3):
        by.accept(solution_at(turned(RIG.geometry, 12), bones))
        assert by.state.geometry is right


def test_a_solution_that_explains_held_out_pairs_better_is_taken_at_once(quick: Observed):
    bones, by = bones_of(quick), calibrator()
    first_problem(by, quick)
    for _ in range(2):
        by.accept(solution_at(turned(RIG.geometry, 12), bones))
    held_out_every(quick, by)
    by.accept(solution_at(RIG.geometry, bones))
    assert error_deg(by.state.geometry, RIG.geometry) < 1e-6


def test_once_calibrated_problems_come_as_evidence_grows_and_more_rarely():
    longer = observation(moving(12, 30), fps=30)
    by, solver = calibrator(), FixedSolver(RIG.geometry, bones_of(longer))
    due = []
    for captured_ns, problem in problems(longer, by):
        due.append(captured_ns)
        solver.submit(problem)
        by.accept(*(solver.done() or ()))
    pauses = np.diff(due[1:])
    assert pauses.min() >= SOLVE_INTERVAL_NS and pauses[0] < REFINE_INTERVAL_NS / 3, "soon, while there is little evidence"
    assert pauses[-1] > 1.4 * pauses[0]


def test_once_calibrated_a_still_hand_is_no_new_evidence(quick: Observed):
    by, _ = calibrated_on(quick)
    # Without the outliers of the other streams, which seem to be new poses.
    hand = motion.still(np.random.default_rng(3), 5.0, 30)
    still = observe(np.random.default_rng(5), RIG, hand, noise_px=1, outliers=0, own_noise=0.1)
    due = 0
    for number, pair in enumerate(still.pairs):
        now_ns = int(4e9) + int(number * 1e9 / 30)
        if pair is not None:
            by.add(now_ns, pair)
        if by.due(now_ns) is not None:
            due += 1
            by.accept(None)
    assert due <= 2
