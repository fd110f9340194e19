"""What the calibration came to is said once, with its time; why it failed is said once it lasts, and at the end in any case."""

import logging
from dataclasses import replace

import msgspec
import pytest

from runtime.calibration.status import CalibrationPhase, CalibrationStatus, HandMotion, MergeDecision, RejectionReason
from runtime.reporting.run_stats import CalibrationStats
from runtime.watch.calibration import CalibrationWatch
from tests.runtime.watch.watching import UNSEEN, both, figures, rejected, show, watched

COLLECTING = CalibrationStatus(CalibrationPhase.COLLECTING, 0.35)
CALIBRATED = CalibrationStatus(CalibrationPhase.CALIBRATED, 1.0, figures())
ALL_PHASES = [
    CalibrationStatus(),
    COLLECTING,
    CalibrationStatus(CalibrationPhase.NEEDS_MOTION),
    CalibrationStatus(CalibrationPhase.VIEW_FROZEN, view="left"),
    *map(rejected, RejectionReason),
    CalibrationStatus(CalibrationPhase.VERIFYING, figures=figures()),
    CALIBRATED,
    CalibrationStatus(CalibrationPhase.GIVEN, 1.0),
    CalibrationStatus(CalibrationPhase.MOVED),
]


def run(*parts: tuple[CalibrationStatus | None, int]) -> CalibrationWatch:
    """After so many pairs with hands in each status."""
    watch = CalibrationWatch()
    statuses = [status for status, count in parts for _ in range(count)]
    show(watch, [watched(n, both(), status) for n, status in enumerate(statuses)])
    return watch


def test_known_cameras_are_logged_once_and_updated_in_the_figures(caplog):
    caplog.set_level(logging.INFO)
    better = replace(CALIBRATED, figures=figures(43.0, 0.8), merge=MergeDecision.GEOMETRY)
    watch = run((COLLECTING, 96), (CALIBRATED, 30), (better, 30))
    assert [record.message for record in caplog.records] == ["cameras known after 3.2 s: 43.1 deg apart, +- 1.2 deg"]
    assert not watch.findings
    assert watch.lines()[0] == ("calibrated", "after 3.2 s: 43.0 deg apart, +- 0.8 deg")
    assert (watch.figures.known_after_s, watch.figures.rotation_uncertainty_deg) == (pytest.approx(3.2, abs=0.01), 0.8)


def test_a_motion_that_would_help_is_told_with_the_certainty():
    known = replace(CALIBRATED, figures=replace(figures(43.0, 0.8), advice=HandMotion.TURN))
    assert run((known, 30)).lines()[0] == (
        "calibrated",
        "after 0.0 s: 43.0 deg apart, +- 0.8 deg; for a better calibration turn the hand",
    )
    unsure = rejected(RejectionReason.TOO_UNCERTAIN)
    assert unsure.figures is not None
    asked = replace(unsure, figures=replace(unsure.figures, advice=HandMotion.NEARER_LEFT))
    assert run((asked, 30)).lines()[0][1].endswith("too uncertain; come nearer to the left camera")


def test_places_are_counted_of_all_hands():
    watch = CalibrationWatch()
    show(watch, [watched(n, both() if n % 2 else UNSEEN, CALIBRATED, placed=n >= 10) for n in range(20)])
    assert watch.lines()[1] == ("place", "known of 5 of 10 hands")
    assert (watch.figures.hands, watch.figures.hands_with_place, watch.figures.pairs_with_both) == (10, 5, 10)


@pytest.mark.parametrize("reason", [RejectionReason.VIEWS_DISAGREE, RejectionReason.SHAPE_MISMATCH])
def test_views_that_do_not_fit_are_reported_after_two_seconds(reason):
    assert not run((rejected(reason), 55)).findings
    (finding,) = run((rejected(reason), 65)).findings
    assert finding.kind == "cameras_unknown" and "mirrored" in finding.text


@pytest.mark.parametrize("reason", [RejectionReason.TOO_UNCERTAIN, RejectionReason.AMBIGUOUS])
def test_too_little_motion_is_reported_after_twenty(reason):
    assert not run((rejected(reason), 590)).findings
    (finding,) = run((rejected(reason), 610)).findings
    assert finding.kind == "cameras_unknown" and "after 20 s" in finding.text and "move" in finding.text


def test_a_solution_that_waits_for_its_second_is_not_reported_however_slow_the_machine():
    assert not run((CalibrationStatus(CalibrationPhase.VERIFYING, figures=figures()), 700)).findings


def test_pauses_between_pairs_do_not_count_as_time_with_hands():
    watch = CalibrationWatch()
    assert not show(watch, [watched(n * 90, both(), COLLECTING) for n in range(40)])


def test_a_finding_is_withdrawn_once_the_cameras_are_known():
    assert not run((rejected(RejectionReason.SHAPE_MISMATCH), 90), (CALIBRATED, 1)).findings


def test_a_moved_camera_is_reported_with_its_time_and_stays():
    watch = run((CALIBRATED, 60), (CalibrationStatus(CalibrationPhase.MOVED), 10), (CALIBRATED, 30))
    (finding,) = watch.findings
    assert finding.kind == "camera_moved" and "at 2.0 s" in finding.text
    assert watch.figures.known_after_s == pytest.approx(70 / 30, abs=0.01)
    assert watch.figures.moved == 1


def test_too_few_hands_are_told_with_what_is_missing():
    assert "both cameras saw the hand in 25 of 25 pairs, and 14 of the 20" in str(run((replace(COLLECTING), 25)).figures.sentence)
    watch = CalibrationWatch()
    show(watch, [watched(n, UNSEEN, CalibrationStatus()) for n in range(30)])
    assert "no hand was seen by both cameras at once in 30 pairs" in str(watch.figures.sentence)


@pytest.mark.parametrize("status", ALL_PHASES)
def test_every_phase_has_a_plain_sentence_at_the_end(status):
    watch = run((status, 30))
    ((label, text), _) = watch.lines()
    assert label == "calibrated" and text.isascii() and watch.figures.sentence == text
    assert msgspec.json.decode(msgspec.json.encode(watch.figures), type=CalibrationStats) == watch.figures
    assert "ended" in run((replace(status, stopped=True), 30)).lines()[0][1]


def test_a_view_that_is_wrong_takes_the_trust_from_a_solution_and_the_word_from_its_absence():
    known, unknown = run((CALIBRATED, 30)), run((rejected(RejectionReason.TOO_UNCERTAIN), 30))
    known.contradicted = unknown.contradicted = True
    assert "not to be trusted: see the findings" in known.lines()[0][1]
    assert unknown.lines()[0][1] == "no: see the findings"


def test_without_calibration_nothing_is_said_of_it():
    watch = run((None, 30))
    assert [label for label, _ in watch.lines()] == ["place"] and watch.figures.phase is None
