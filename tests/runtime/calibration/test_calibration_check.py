"""A right calibration is never accused, and a usual mistake is found and named, on hands with the errors of a network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.bundle import Keypoints
from runtime.calibration.calibration_check import CheckResult, check_calibration
from runtime.calibration.hypotheses import GivenCalibration
from runtime.calibration.status import CheckOutcome, Correction
from tests.runtime.calibration.claims import (
    calibrated_roughly,
    cropped,
    keypoints_of,
    of_frames,
    placed,
    right_calibration,
    seen,
)

SEEDS = range(6)
ANGLES_DEG = {0: 25, 1: 45, 2: 60, 3: 90, 4: 120, 5: 140}


@pytest.fixture(scope="module")
def hands() -> dict[int, tuple[GivenCalibration, PerView[Keypoints]]]:
    """Right calibrations of rigs, and what they see of a hand of the usual size."""
    observed = {seed: seen(seed, ANGLES_DEG[seed]) for seed in SEEDS}
    return {seed: (right_calibration(each), keypoints_of(each)) for seed, each in observed.items()}


def judged(
    given: GivenCalibration, right: GivenCalibration, views: PerView[Keypoints], hand_size_mm: float = DEFAULT_HAND_SIZE_MM
) -> CheckResult:
    """What is said of `given` where `right` is true."""
    return check_calibration(given, right.seen_by(views, given), hand_size_mm)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hand_mm", [70.0, 90.0, 110.0])
def test_a_right_calibration_is_confirmed_for_people_with_small_and_large_hands(hands, seed: int, hand_mm: float):
    right, views = hands[seed]
    # A hand of another size at a baseline as much larger is seen at the same pixels.
    right = replace(right, t_right_from_left_mm=right.t_right_from_left_mm * hand_mm / DEFAULT_HAND_SIZE_MM)
    check = judged(right, right, views).check
    assert check.outcome is CheckOutcome.CONFIRMED and check.corrections == () and check.hand_mm is None
    assert check.agreement > 0.7 and check.uncertainty is not None and 0 < check.uncertainty.rotation_deg < 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rough_calibration_is_not_accused(hands, seed: int):
    right, views = hands[seed]
    assert judged(calibrated_roughly(right, seed), right, views).check.outcome is CheckOutcome.CONFIRMED


Mistake = Callable[[GivenCalibration], GivenCalibration]


def _exchanged(right: GivenCalibration) -> GivenCalibration:
    R, t = right.R_right_from_left, right.t_right_from_left_mm
    return GivenCalibration(PerView(right.lenses.right, right.lenses.left), R.T, -R.T @ t)


MISTAKES: dict[str, tuple[Correction, Mistake]] = {
    "inverse": (Correction.INVERSE, lambda c: placed(c, c.R_right_from_left.T, -c.R_right_from_left.T @ c.t_right_from_left_mm)),
    "exchanged": (Correction.EXCHANGED, _exchanged),
    "R transposed": (Correction.TRANSPOSED, lambda c: placed(c, c.R_right_from_left.T, c.t_right_from_left_mm)),
    "T is a position": (
        Correction.POSITION,
        lambda c: placed(c, c.R_right_from_left, -c.R_right_from_left.T @ c.t_right_from_left_mm),
    ),
    "T opposite": (Correction.OPPOSITE, lambda c: placed(c, c.R_right_from_left, -c.t_right_from_left_mm)),
    "smaller frames": (Correction.RESOLUTION, lambda c: of_frames(c, 0.5)),
    "larger frames": (Correction.RESOLUTION, lambda c: of_frames(c, 2.0)),
    "uncropped": (Correction.CROP, lambda c: cropped(c, 160, 0)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_usual_mistake_is_named_and_undone(hands, seed: int, mistake: str):
    right, views = hands[seed]
    correction, make = MISTAKES[mistake]
    result = judged(make(right), right, views)
    check = result.check
    assert check.outcome is CheckOutcome.CONTRADICTED and correction in check.corrections, check
    assert check.corrected_agreement is not None and check.corrected_agreement > max(check.agreement, 0.7)
    assert result.corrected is not None and check.hand_mm is None
    if check.corrections[0] is correction:
        again = judged(result.corrected, right, views).check
        assert again.outcome is CheckOutcome.CONFIRMED, "what it is corrected to is right"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("unit_mm", "factor"), [(10.0, 10.0), (1000.0, 1000.0), (25.0, None), (0.1, 0.1), (2.2, None)])
def test_another_unit_of_the_baseline_is_told_by_the_size_of_the_hand(hands, seed: int, unit_mm: float, factor: float | None):
    right, views = hands[seed]
    given = replace(right, t_right_from_left_mm=right.t_right_from_left_mm / unit_mm)
    result = judged(given, right, views)
    check = result.check
    assert check.outcome is CheckOutcome.CONTRADICTED and check.corrections == ()
    assert check.hand_mm == pytest.approx(DEFAULT_HAND_SIZE_MM / unit_mm, rel=0.25)
    assert check.unit_mm == (factor or pytest.approx(unit_mm, rel=0.25))
    assert check.uncertainty is not None, "where the cameras look is right"
    assert result.corrected is not None
    np.testing.assert_allclose(result.corrected.t_right_from_left_mm, given.t_right_from_left_mm * check.unit_mm)
    assert judged(given, right, views, DEFAULT_HAND_SIZE_MM / unit_mm).check.outcome is CheckOutcome.CONFIRMED


def test_the_calibration_of_another_rig_is_contradicted_without_a_name(hands):
    right, views = hands[2]
    other = hands[4][0]
    result = judged(placed(right, other.R_right_from_left, other.t_right_from_left_mm), right, views)
    assert result.check.outcome is CheckOutcome.CONTRADICTED and result.check.corrections == () and result.corrected is None
    still = check_calibration(
        placed(right, other.R_right_from_left, other.t_right_from_left_mm), views, DEFAULT_HAND_SIZE_MM, varied=False
    )
    assert still.check.outcome is CheckOutcome.UNTESTED, "hands in one place may fit any cameras"


def test_views_of_different_times_accuse_no_calibration(hands):
    """The right view shows what the hand did before: no cameras explain that."""
    right, views = hands[3]
    count = len(views.right.pixels)
    late = views.right.subset((np.arange(count) + count // 2) % count)
    check = judged(right, right, PerView(views.left, late)).check
    assert check.outcome in (CheckOutcome.UNEXPLAINED, CheckOutcome.UNTESTED) and check.corrections == ()
