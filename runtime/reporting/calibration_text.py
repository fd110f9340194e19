"""Text of a calibration status, for the status line and the output of commands."""

from runtime.calibration.status import (
    CalibrationPhase,
    CalibrationStatus,
    HandMotion,
    MergeDecision,
    RejectionReason,
    SolutionFigures,
)
from runtime.reporting.calibration_check_text import describe_check

_MERGE = {
    MergeDecision.COMPARING: "being compared",
    MergeDecision.ROTATION: "merged by rotation, which predicts better",
    MergeDecision.GEOMETRY: "merged by geometry",
}
_MOTION = {
    HandMotion.TURN: "turn the hand",
    HandMotion.NEARER_LEFT: "come nearer to the left camera",
    HandMotion.NEARER_RIGHT: "come nearer to the right camera",
    HandMotion.AWAY: "go farther from both cameras",
    HandMotion.ACROSS: "move through the whole picture",
}
ANY_MOTION = "move and turn the hand"


def describe(status: CalibrationStatus) -> str:
    """One line of plain ASCII: what is known of the cameras' places, or why they are not known."""
    sentence = _calibration(status)
    if status.stopped:
        sentence += " (the solver's process ended)"
    return sentence if status.merge is None else f"{sentence}, {_MERGE[status.merge]}"


def _calibration(status: CalibrationStatus) -> str:
    match status.phase:
        case CalibrationPhase.NO_HANDS | CalibrationPhase.COLLECTING:
            return "cameras: show the hand to both"
        case CalibrationPhase.NEEDS_MOTION:
            return f"cameras: {ANY_MOTION}"
        case CalibrationPhase.VIEW_FROZEN:
            return f"cameras unknown: the {status.view} picture stands still"
        case CalibrationPhase.REJECTED:
            assert status.rejection is not None and status.figures is not None, status
            return describe_rejection(status.rejection, status.figures)
        case CalibrationPhase.VERIFYING:
            return f"cameras: {_placed(status)}; making sure{_advised(status, ': ')}"
        case CalibrationPhase.CALIBRATED:
            return f"cameras: {_placed(status)}{_advised(status, '; for a better calibration ')}"
        case CalibrationPhase.GIVEN:
            return f"cameras {describe_check(status.check)}"
        case CalibrationPhase.MOVED:
            return "a camera was moved: finding its place anew"


def describe_rejection(reason: RejectionReason, figures: SolutionFigures) -> str:
    """Why a solution with these figures was not accepted, and what the user can do."""
    match reason:
        case RejectionReason.VIEWS_DISAGREE:
            share = f"{100 * figures.inliers:.0f} % of the joints agree"
            return f"cameras unknown: the views do not show one hand at one time ({share})"
        case RejectionReason.SHAPE_MISMATCH:
            return "cameras unknown: the triangulated hand has not the shape that each view predicts (is one picture mirrored?)"
        case RejectionReason.TOO_UNCERTAIN:
            return f"cameras: {_angle(figures)}; {motion_text(figures.advice)}"
        case RejectionReason.AMBIGUOUS:
            return f"cameras: two places fit about as well; {motion_text(figures.advice)}"


def motion_text(advice: HandMotion | None) -> str:
    """What the user is asked to do, as a request."""
    return ANY_MOTION if advice is None else _MOTION[advice]


def _advised(status: CalibrationStatus, begin: str) -> str:
    """The advice that goes with cameras that are known, after `begin`; empty where there is none."""
    advice = status.figures.advice if status.figures else None
    return "" if advice is None else begin + motion_text(advice)


def _placed(status: CalibrationStatus) -> str:
    assert status.figures is not None, status
    return _angle(status.figures)


def _angle(figures: SolutionFigures) -> str:
    return f"{figures.angle_deg:.0f} +- {figures.uncertainty.rotation_deg:.1f} deg apart"
