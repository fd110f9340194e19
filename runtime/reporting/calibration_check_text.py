"""What hands say of a calibration that the user gave, in words: what does not fit, and what to write into its file."""

from hand.findings import Finding
from runtime.calibration.status import CalibrationCheck, CheckOutcome, Correction

_WRONG = {
    Correction.INVERSE: "R and T are those from right to left",
    Correction.EXCHANGED: "left and right are exchanged",
    Correction.INTRINSICS_EXCHANGED: "the lenses of left and right are exchanged",
    Correction.TRANSPOSED: "R is transposed",
    Correction.POSITION: "T is where the right camera is in the left one's axes",
    Correction.OPPOSITE: "T has the opposite sign",
    Correction.RESOLUTION: "K{of} is that of frames of another size",
    Correction.CROP: "the principal point{of} is that of frames of another crop",
}
_REMEDY = {
    Correction.INVERSE: "write R.T as R and -R.T @ T as T",
    Correction.EXCHANGED: "exchange --left and --right, or the cameras in the file",
    Correction.INTRINSICS_EXCHANGED: "write each camera's M and D as the other's",
    Correction.TRANSPOSED: "write R.T as R",
    Correction.POSITION: "write -R @ T as T",
    Correction.OPPOSITE: "write -T as T",
    Correction.RESOLUTION: "multiply fx, fy, cx and cy{of} by {scale:.3g} or calibrate at this size",
    Correction.CROP: "write the middle of these frames as cx and cy{of}, or calibrate with this crop",
}
_PLAUSIBLE_MM = (40.0, 150.0)
"""Lengths from wrist to middle knuckle that a person's hand may have."""


def check_finding(check: CalibrationCheck) -> Finding | None:
    """What is to be told of a given calibration; None where nothing is wrong with it."""
    match check.outcome:
        case CheckOutcome.UNTESTED | CheckOutcome.CONFIRMED:
            return None
        case CheckOutcome.UNEXPLAINED:
            return Finding("calibration_unexplained", _unexplained(check))
        case CheckOutcome.CONTRADICTED if check.applied:
            return Finding("calibration_fixed", f"{_contradiction(check)}: used with that corrected; {remedy(check)}")
        case CheckOutcome.CONTRADICTED:
            return Finding("calibration_contradicted", f"{_contradiction(check)}; {remedy(check)}", "error")


def describe_check(check: CalibrationCheck | None) -> str:
    """A few words of plain ASCII, for the status line and the summary."""
    if check is None:
        return "as calibrated"
    match check.outcome:
        case CheckOutcome.UNTESTED:
            return "as calibrated, not tested yet"
        case CheckOutcome.CONFIRMED:
            return "as calibrated, confirmed by hands"
        case CheckOutcome.CONTRADICTED:
            return "as calibrated, corrected" if check.applied else "as calibrated, which hands contradict"
        case CheckOutcome.UNEXPLAINED:
            return "as calibrated, which explains the views no better than any other cameras"


def remedy(check: CalibrationCheck) -> str:
    """What the user can do about a calibration that is contradicted."""
    if check.since_ns is not None:
        return "a camera was moved: put it back, or calibrate again"
    steps = [_REMEDY[correction].format(scale=check.frame_scale, of=_of(check)) for correction in check.corrections]
    ways = [" or ".join(steps)] if steps else []
    if check.hand_mm is not None:
        ways.append(_unit_remedy(check, check.hand_mm))
    if not ways:
        return "calibrate again or leave --calibration out, unless a picture is mirrored or both views show one camera"
    fix = "" if check.applied else ", or give --calibration-fix to have it used so"
    return f"{' and '.join(ways)}{fix}"


def _contradiction(check: CalibrationCheck) -> str:
    """What does not fit."""
    share = f"{100 * check.agreement:.0f} % of the joints agree"
    if check.since_ns is not None:
        return f"the calibration does not fit what both cameras see any more since {check.since_ns / 1e9:.1f} s ({share})"
    if not check.corrections:
        if check.hand_mm is not None:
            return f"the calibration does not fit: {_size(check, check.hand_mm)}"
        return f"the calibration does not fit what both cameras see ({share}), and no usual mistake explains it"
    wrong = " or ".join(_WRONG[correction].format(of=_of(check)) for correction in check.corrections)
    unit = "" if check.hand_mm is None else f", and {_size(check, check.hand_mm)}"
    then = "" if check.corrected_agreement is None else f", as {100 * check.corrected_agreement:.0f} % agree then"
    return f"the calibration does not fit what both cameras see ({share}): {wrong}, it seems{then}{unit}"


def _of(check: CalibrationCheck) -> str:
    return "" if check.view is None else f" of the {check.view} camera"


def _size(check: CalibrationCheck, hand_mm: float) -> str:
    expected = f"expected {check.expected_hand_mm:.3g} (--hand-size-mm)"
    return f"with this T the hand measures {hand_mm:.3g} mm from wrist to middle knuckle, {expected}"


def _unit_remedy(check: CalibrationCheck, hand_mm: float) -> str:
    """What to write for T; another size of the hand is named where a person's may be that large."""
    factor = check.unit_mm
    units = {10.0: "T seems to be in cm: add `unit_mm: 10`", 1000.0: "T seems to be in metres: add `unit_mm: 1000`"}
    if factor in units:
        step = units[factor]
    elif factor in (0.1, 0.001):
        step = f"T seems to be {1 / factor:.0f} times too long: divide it by {1 / factor:.0f}"
    elif factor > 4:
        step = f"T seems to be in squares of a board or in inches: add `unit_mm`, the size of a square in mm (about {factor:.2g})"
    else:
        step = f"write T {factor:.2g} times as long"
    if _PLAUSIBLE_MM[0] <= hand_mm <= _PLAUSIBLE_MM[1]:
        return f"{step} or, if the hand is so {'small' if factor > 1 else 'large'}, give --hand-size-mm {hand_mm:.0f}"
    return step


def _unexplained(check: CalibrationCheck) -> str:
    return (
        f"neither the calibration ({100 * check.agreement:.0f} % of the joints agree) nor any other place of the cameras "
        "explains what both views see: see whether one picture lags, is mirrored, or shows another hand"
    )
