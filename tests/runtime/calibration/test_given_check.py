"""A given calibration is tested while the stream goes on: soon, twice before it is doubted, and again when a camera was moved."""

from dataclasses import replace

import numpy as np
import pytest

from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.given_check import MIN_PAIRS
from runtime.calibration.hypotheses import GivenCalibration
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.status import CalibrationCheck, CheckOutcome, Correction
from tests.runtime.calibration.claims import of_frames, placed, right_calibration, seen
from tools.evaluate import faults, two_views
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import Observed, observe


@pytest.fixture(scope="module")
def observed() -> Observed:
    return seen(3, 60, seconds=3)


def inverse(right: GivenCalibration) -> GivenCalibration:
    R, t = right.R_right_from_left, right.t_right_from_left_mm
    return placed(right, R.T, -R.T @ t)


def calibrator(given: GivenCalibration, observed: Observed, *, fix: bool = False) -> SelfCalibrator:
    return SelfCalibrator(
        observed.sizes_px,
        fov_deg=observed.sizes_px.map(lambda _: None),
        hand_size_mm=DEFAULT_HAND_SIZE_MM,
        given=given.geometry,
        lenses=given.lenses,
        fix=fix,
    )


def stream(observed: Observed, by: SelfCalibrator) -> list[tuple[float, CalibrationCheck]]:
    """Seconds and check of each pair; problems are left unsolved."""
    checks = []
    for captured_ns, pair in zip(observed.captured_ns.tolist(), observed.pairs, strict=True):
        if pair is not None:
            by.add(captured_ns, pair)
        by.due(captured_ns)
        assert by.status.check is not None
        checks.append(((captured_ns - int(observed.captured_ns[0])) / 1e9, by.status.check))
    return checks


def test_a_right_calibration_is_confirmed_and_its_uncertainty_is_what_hands_tell(observed: Observed):
    by = calibrator(right_calibration(observed), observed)
    assert by.state.uncertainty is None and by.state.geometry is not None, "used, and not tested"
    checks = stream(observed, by)
    assert checks[MIN_PAIRS - 2][1].outcome is CheckOutcome.UNTESTED
    assert {check.outcome for _, check in checks} == {CheckOutcome.UNTESTED, CheckOutcome.CONFIRMED}
    assert by.state.uncertainty is not None and by.state.uncertainty.rotation_deg > 0 and not by.state.contradicted


def test_a_wrong_calibration_is_named_within_two_seconds_and_stays_in_use(observed: Observed):
    given = inverse(right_calibration(observed))
    by = calibrator(given, observed)
    checks = stream(observed, by)
    named_s = next(seconds for seconds, check in checks if check.outcome is CheckOutcome.CONTRADICTED)
    assert named_s <= 2 and checks[-1][1].corrections[0] is Correction.INVERSE and not checks[-1][1].applied
    assert by.state.geometry is not None and by.state.contradicted and by.state.uncertainty is None
    np.testing.assert_array_equal(by.state.geometry.R_right_from_left, given.R_right_from_left)


def test_it_is_corrected_where_that_is_asked_for(observed: Observed):
    right = right_calibration(observed)
    by = calibrator(inverse(right), observed, fix=True)
    check = stream(observed, by)[-1][1]
    assert check.outcome is CheckOutcome.CONTRADICTED and check.applied and not by.state.contradicted
    assert by.state.geometry is not None and by.state.lenses is None
    np.testing.assert_allclose(by.state.geometry.R_right_from_left, right.R_right_from_left)
    assert by.state.uncertainty is not None, "the corrected one is tested too, and confirmed"


def test_corrected_lenses_are_handed_on_and_hands_seen_through_the_wrong_ones_dropped(observed: Observed):
    right = right_calibration(observed)
    given = of_frames(right, 0.5)
    by = calibrator(given, observed, fix=True)
    first = list(zip(observed.captured_ns.tolist(), observed.pairs, strict=True))
    for captured_ns, pair in first:
        if pair is not None:
            by.add(captured_ns, pair)
        by.due(captured_ns)
        if by.state.lenses is not None:
            break
    assert by.state.lenses is not None and by.state.geometry is not None
    assert by.state.lenses.left.focal_px == pytest.approx(right.lenses.left.focal_px)
    assert by.state.geometry.cameras.left.focal_px == pytest.approx(right.lenses.left.focal_px[0])
    assert by.due(first[-1][0] + 10**10) is None, "there are no keyframes any more"


def test_a_camera_that_is_moved_later_is_noticed_with_the_time():
    rng = np.random.default_rng(7)
    rig = two_views.sample_rig(rng, 60)
    joints = sample_motion(rng, 6)
    before = observe(np.random.default_rng(5), rig, joints)
    moved = faults.then(before, observe(np.random.default_rng(6), two_views.moved(rng, rig, 20), joints), 3.0)
    by = calibrator(right_calibration(before), before)
    checks = stream(moved, by)
    assert any(check.outcome is CheckOutcome.CONFIRMED for seconds, check in checks if seconds < 3)
    told_s, told = next((seconds, check) for seconds, check in checks if check.outcome is CheckOutcome.CONTRADICTED)
    assert told_s > 3 and told.since_ns is not None and told.since_ns / 1e9 == pytest.approx(3.0, abs=1.0)
    assert told.corrections == () and by.state.contradicted


def test_one_bad_test_accuses_nothing(observed: Observed):
    """As when a handedness was wrong for a moment: the next test must come to the same."""
    right = right_calibration(observed)
    wrong = inverse(right)
    by = calibrator(wrong, observed)
    outcomes = [
        check.outcome
        for _, check in stream(replace(observed, pairs=observed.pairs[:18], captured_ns=observed.captured_ns[:18]), by)
    ]
    assert set(outcomes) == {CheckOutcome.UNTESTED}
