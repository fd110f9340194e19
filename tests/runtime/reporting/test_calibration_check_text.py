"""A sentence about a calibration says what does not fit, with its value, and what to write into the file."""

from dataclasses import replace

import pytest

from runtime.calibration.status import CalibrationCheck, CheckOutcome, Correction
from runtime.reporting.calibration_check_text import check_finding, describe_check, remedy

CONTRADICTED = CalibrationCheck(CheckOutcome.CONTRADICTED, agreement=0.28, expected_hand_mm=90.0)


def text_of(check: CalibrationCheck) -> str:
    finding = check_finding(check)
    assert finding is not None
    return finding.text


@pytest.mark.parametrize("correction", Correction)
def test_every_mistake_is_named_with_what_to_write(correction: Correction):
    check = replace(CONTRADICTED, corrections=(correction,), corrected_agreement=0.97, frame_scale=1.5)
    finding = check_finding(check)
    assert finding is not None and finding.level == "error" and finding.kind == "calibration_contradicted"
    assert "(28 % of the joints agree)" in finding.text and "97 % agree then" in finding.text
    assert "or give --calibration-fix" in finding.text and "\n" not in finding.text
    applied = check_finding(replace(check, applied=True))
    assert applied is not None and applied.level == "warning" and "or give --calibration-fix" not in applied.text


def test_mistakes_that_cannot_be_told_apart_are_named_together():
    text = text_of(replace(CONTRADICTED, corrections=(Correction.INVERSE, Correction.EXCHANGED), corrected_agreement=0.97))
    assert "R and T are those from right to left or left and right are exchanged" in text
    assert "write R.T as R and -R.T @ T as T or exchange --left and --right" in text


@pytest.mark.parametrize(
    ("hand_mm", "unit_mm", "words"),
    [
        (9.0, 10.0, "unit_mm: 10"),
        (0.09, 1000.0, "unit_mm: 1000"),
        (3.6, 25.0, "the size of a square in mm (about 25)"),
        (900.0, 0.1, "divide it by 10"),
        (45.0, 2.0, "give --hand-size-mm 45"),
    ],
)
def test_another_unit_is_named_with_the_size_of_the_hand(hand_mm: float, unit_mm: float, words: str):
    text = text_of(replace(CONTRADICTED, hand_mm=hand_mm, unit_mm=unit_mm))
    assert words in text and f"measures {hand_mm:.3g} mm" in text and "expected 90 (--hand-size-mm)" in text


def test_a_moved_camera_is_told_with_the_time():
    text = text_of(replace(CONTRADICTED, since_ns=12_300_000_000))
    assert "any more since 12.3 s" in text and "calibrate again" in text


def test_what_no_mistake_explains_says_so():
    assert "no usual mistake explains it" in text_of(CONTRADICTED) and "calibrate again" in remedy(CONTRADICTED)
    views = check_finding(replace(CONTRADICTED, outcome=CheckOutcome.UNEXPLAINED))
    assert views is not None and views.level == "warning" and "nor any other place of the cameras" in views.text


@pytest.mark.parametrize("outcome", CheckOutcome)
def test_every_outcome_is_described(outcome: CheckOutcome):
    assert describe_check(CalibrationCheck(outcome)).startswith("as calibrated, ")


@pytest.mark.parametrize("correction", [Correction.RESOLUTION, Correction.CROP])
def test_the_camera_whose_lens_alone_is_wrong_is_named(correction: Correction):
    check = replace(CONTRADICTED, corrections=(correction,), corrected_agreement=0.97, frame_scale=0.75)
    assert "camera" not in text_of(check).split("(28 %")[1]
    text = text_of(replace(check, view="right"))
    assert text.count("of the right camera") == 2, "what is wrong, and what to write"
