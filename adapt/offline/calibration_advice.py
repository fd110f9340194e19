"""Why a recording did not calibrate its cameras, in figures, and what to do."""

from adapt.core.geometry_teacher import RecordingCalibration
from runtime.calibration.self_calibrator import FIRST_NS, FIRST_PAIRS, MIN_TRAVEL
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, RejectionReason
from runtime.reporting.calibration_text import describe

_LONGER = "give a longer recording in which the hand moves through the picture and turns"
_FOV = "or the cameras' fields of view with --fov LEFT RIGHT"


def advice(calibration: RecordingCalibration) -> str:
    """One sentence about a calibration without a geometry."""
    status = calibration.status
    return f"the cameras could not be calibrated: {_why(calibration, status)}"


def _why(calibration: RecordingCalibration, status: CalibrationStatus) -> str:
    seen = f"{calibration.both:,} of {calibration.pairs:,} pairs show the hand to both views"
    match status.phase:
        case CalibrationPhase.NO_HANDS:
            left, right = calibration.seen
            return (
                f"{seen} ({left:,} frames to the left one, {right:,} to the right one), none of them clearly: expected the same "
                "hand in both, large and in good light; record it so"
            )
        case CalibrationPhase.COLLECTING:
            # Progress is half done once there are enough keyframes.
            found = round(2 * status.progress * FIRST_PAIRS)
            return (
                f"{seen}, in {found} different poses: expected {FIRST_PAIRS} or more, in {FIRST_NS / 1e9:g} s or more; {_LONGER}"
            )
        case CalibrationPhase.NEEDS_MOTION:
            return f"{seen}, and it stands nearly still: expected it to move by {MIN_TRAVEL:g} of its length or more; {_LONGER}"
        case CalibrationPhase.VIEW_FROZEN:
            return (
                f"the hand stands still in the {status.view} view while it moves in the other: expected two clips of one time; "
                f"give the {status.view} clip that belongs to the other"
            )
        case CalibrationPhase.VERIFYING:
            return f"{seen}, and one solution was found that no second one confirms ({describe(status)}); {_LONGER}"
        case CalibrationPhase.REJECTED:
            what_to_do = _after_rejection(status.rejection)
            return f"{seen}, and they do not settle where the cameras are ({describe(status)}): {what_to_do}"
        case _:
            return f"{seen} ({describe(status)}): {_LONGER}, {_FOV}"


def _after_rejection(rejection: RejectionReason | None) -> str:
    match rejection:
        case RejectionReason.VIEWS_DISAGREE:
            return "expected two clips of one hand at one time, in step; cut both to the same begin"
        case RejectionReason.SHAPE_MISMATCH:
            return "expected both pictures as the cameras see them; mirror back the one that is mirrored"
        case _:
            return f"{_LONGER}, {_FOV}"
