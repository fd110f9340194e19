"""Every calibration status is described in one line."""

from dataclasses import replace

import pytest

from capture.views import PerView
from runtime.calibration.status import (
    CalibrationPhase,
    CalibrationStatus,
    HandMotion,
    MergeDecision,
    RejectionReason,
    SolutionFigures,
    Uncertainty,
)
from runtime.reporting.calibration_text import describe, motion_text

FIGURES = SolutionFigures(61.6, Uncertainty(1.23, 2.0, PerView(3.0, 3.0)), 0.4)
REJECTED = CalibrationPhase.REJECTED


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (CalibrationStatus(), "cameras: show the hand to both"),
        (CalibrationStatus(CalibrationPhase.COLLECTING), "cameras: show the hand to both"),
        (CalibrationStatus(CalibrationPhase.NEEDS_MOTION), "cameras: move and turn the hand"),
        (CalibrationStatus(CalibrationPhase.VIEW_FROZEN, view="left"), "cameras unknown: the left picture stands still"),
        (CalibrationStatus(CalibrationPhase.VERIFYING, figures=FIGURES), "cameras: 62 +- 1.2 deg apart; making sure"),
        (CalibrationStatus(CalibrationPhase.CALIBRATED, figures=FIGURES), "cameras: 62 +- 1.2 deg apart"),
        (CalibrationStatus(CalibrationPhase.GIVEN), "cameras as calibrated"),
        (CalibrationStatus(CalibrationPhase.MOVED), "a camera was moved: finding its place anew"),
    ],
)
def test_every_phase_is_described(status: CalibrationStatus, sentence: str):
    assert describe(status) == sentence


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (RejectionReason.VIEWS_DISAGREE, "the views do not show one hand at one time (40 % of the joints agree)"),
        (RejectionReason.SHAPE_MISMATCH, "is one picture mirrored?"),
        (RejectionReason.TOO_UNCERTAIN, "cameras: 62 +- 1.2 deg apart; move and turn the hand"),
        (RejectionReason.AMBIGUOUS, "two places fit about as well"),
    ],
)
def test_a_rejection_is_described_with_its_reason(reason: RejectionReason, words: str):
    assert words in describe(CalibrationStatus(REJECTED, figures=FIGURES, rejection=reason))


@pytest.mark.parametrize("phase", CalibrationPhase)
@pytest.mark.parametrize("reason", RejectionReason)
def test_every_status_has_one_line_of_ascii(phase: CalibrationPhase, reason: RejectionReason):
    """The viewer's font has ASCII only."""
    told = describe(CalibrationStatus(phase, figures=FIGURES, view="right", rejection=reason))
    assert told and told.isascii() and told.isprintable()


def test_stopped_solver_and_merge_decision_are_appended():
    status = CalibrationStatus(CalibrationPhase.CALIBRATED, figures=FIGURES, stopped=True, merge=MergeDecision.GEOMETRY)
    assert describe(status) == "cameras: 62 +- 1.2 deg apart (the solver's process ended), merged by geometry"
    given = CalibrationStatus(CalibrationPhase.GIVEN)
    for decision, words in (("rotation", "merged by rotation"), ("comparing", "being compared")):
        assert words in describe(CalibrationStatus(given.phase, merge=MergeDecision(decision)))


@pytest.mark.parametrize("motion", HandMotion)
def test_an_advised_motion_stands_with_the_certainty(motion: HandMotion):
    advised = replace(FIGURES, advice=motion)
    uncertain = describe(CalibrationStatus(REJECTED, figures=advised, rejection=RejectionReason.TOO_UNCERTAIN))
    assert uncertain == f"cameras: 62 +- 1.2 deg apart; {motion_text(motion)}"
    known = describe(CalibrationStatus(CalibrationPhase.CALIBRATED, figures=advised))
    assert known.startswith("cameras: 62 +- 1.2 deg apart; ") and known.endswith(motion_text(motion))
    assert len({motion_text(one) for one in HandMotion}) == len(HandMotion)
