"""The sentence for each way in which a recording does not calibrate its cameras."""

import pytest

from adapt.core.geometry_teacher import RecordingCalibration
from adapt.offline.calibration_advice import advice
from capture.views import PerView
from runtime.calibration.self_calibrator import CalibrationState
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason, SolutionFigures, Uncertainty

FIGURES = SolutionFigures(40.0, Uncertainty(6.5, 9.0, PerView(20.0, 20.0)), 0.31)


def said(phase: CalibrationPhase, **fields: object) -> str:
    status = CalibrationStatus(phase, **fields)  # pyright: ignore[reportArgumentType]
    sentence = advice(RecordingCalibration(30, PerView(28, 27), 25, CalibrationState(), status))
    assert "\n" not in sentence and sentence.startswith("the cameras could not be calibrated: ")
    return sentence


def test_too_few_poses_are_counted():
    sentence = said(CalibrationPhase.COLLECTING, progress=0.3)
    assert "25 of 30 pairs" in sentence and "12 different poses: expected 20 or more" in sentence and "longer" in sentence


@pytest.mark.parametrize(
    ("phase", "fields", "parts"),
    [
        (CalibrationPhase.NO_HANDS, {}, ("25 of 30 pairs", "28 frames", "27", "good light")),
        (CalibrationPhase.NEEDS_MOTION, {}, ("stands nearly still", "moves through the picture and turns")),
        (CalibrationPhase.VIEW_FROZEN, {"view": "right"}, ("still in the right view", "give the right clip")),
        (CalibrationPhase.VERIFYING, {"figures": FIGURES}, ("no second one confirms", "40 +- 6.5 deg", "longer")),
    ],
)
def test_each_phase_says_what_to_do(phase, fields, parts):
    sentence = said(phase, **fields)
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize(
    ("rejection", "parts"),
    [
        (RejectionReason.VIEWS_DISAGREE, ("31 % of the joints agree", "in step")),
        (RejectionReason.SHAPE_MISMATCH, ("mirror back",)),
        (RejectionReason.TOO_UNCERTAIN, ("+- 6.5 deg", "longer", "--fov LEFT RIGHT")),
        (RejectionReason.AMBIGUOUS, ("two places", "longer", "--fov LEFT RIGHT")),
    ],
)
def test_a_rejected_solution_says_what_to_do(rejection, parts):
    sentence = said(CalibrationPhase.REJECTED, figures=FIGURES, rejection=rejection)
    for part in parts:
        assert part in sentence
