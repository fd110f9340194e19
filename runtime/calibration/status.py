"""How far the calibration of the cameras has come: its phase, progress and figures, as types without text."""

from dataclasses import dataclass
from enum import Enum

from capture.views import PerView, View


class CalibrationPhase(Enum):
    """What the calibration waits for, or what it came to."""

    NO_HANDS = "no_hands"
    """No keyframe yet: both cameras must see the hand."""
    COLLECTING = "collecting"
    """Too few keyframes to solve on."""
    NEEDS_MOTION = "needs_motion"
    """The hand has not moved enough to solve on."""
    VIEW_FROZEN = "view_frozen"
    """One view's hand stands still while the other's moves: `CalibrationStatus.view`."""
    REJECTED = "rejected"
    """The last solution was not accepted: `CalibrationStatus.rejection`."""
    VERIFYING = "verifying"
    """One solution was accepted and waits for a second one that agrees."""
    CALIBRATED = "calibrated"
    GIVEN = "given"
    """By the user: nothing is calibrated but the hand's bones."""
    MOVED = "moved"
    """A camera was moved; calibration starts anew."""


class RejectionReason(Enum):
    """Why a solution is not accepted."""

    VIEWS_DISAGREE = "views_disagree"
    """Too few inliers or too much noise: the views do not show one hand at one time."""
    SHAPE_MISMATCH = "shape_mismatch"
    """The triangulated hand differs from the hand that each view predicts, as it does where one picture is mirrored."""
    TOO_UNCERTAIN = "too_uncertain"
    """Standard deviations above their thresholds."""
    AMBIGUOUS = "ambiguous"
    """A rival solution explains the keyframes about as well."""


class HandMotion(Enum):
    """What the user can do with the hand for the cameras to become better known."""

    TURN = "turn"
    NEARER_LEFT = "nearer_left"
    """To the left camera."""
    NEARER_RIGHT = "nearer_right"
    AWAY = "away"
    """From both cameras."""
    ACROSS = "across"
    """Through the whole picture."""


class MergeDecision(Enum):
    """By what the two views are merged, once the cameras are calibrated."""

    COMPARING = "comparing"
    """By rotation, while too few held-out pairs say which is better."""
    ROTATION = "rotation"
    """By rotation, which predicts held-out finger tips better."""
    GEOMETRY = "geometry"


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Standard deviations."""

    rotation_deg: float
    baseline_deg: float
    """Of the direction of the line between the cameras."""
    focal_percent: PerView[float]
    hand_mm: float | None = None
    """Of the joints of a hand of 90 mm that is fitted with these cameras, wrist-aligned, in both cameras' axes: what all of them
    come to. None where that is not known."""


class CheckOutcome(Enum):
    """What hands say of a calibration that the user gave."""

    UNTESTED = "untested"
    """Too few hands in both views yet, or they do not decide."""
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    """Other cameras explain clearly better what both views see, or the hand comes out much too small or too large."""
    UNEXPLAINED = "unexplained"
    """Neither the calibration nor any other place of the cameras explains what both views see."""


class Correction(Enum):
    """How a calibration was written down wrongly."""

    INVERSE = "inverse"
    """R and T lead from right to left."""
    EXCHANGED = "exchanged"
    """Left and right are exchanged."""
    INTRINSICS_EXCHANGED = "intrinsics_exchanged"
    """Only the lenses are."""
    TRANSPOSED = "transposed"
    """R is transposed, T is not."""
    POSITION = "position"
    """T is where the right camera is, left camera's axes."""
    OPPOSITE = "opposite"
    """T has the opposite sign."""
    RESOLUTION = "resolution"
    """The lenses are those of scaled frames."""
    CROP = "crop"
    """The lenses are those of frames that were not cropped."""


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """What hands say of a calibration that the user gave."""

    outcome: CheckOutcome = CheckOutcome.UNTESTED
    agreement: float = 0.0
    """Share of the joints, in [0, 1], whose rays meet before both given cameras, by the noise of the pixels."""
    corrections: tuple[Correction, ...] = ()
    """With which usual mistake undone hands fit; several where hands cannot tell them apart, none where none explains them."""
    corrected_agreement: float | None = None
    """`agreement` after the correction; None without one, and where it can only be told once frames are undistorted by it."""
    frame_scale: float = 1.0
    """For `Correction.RESOLUTION`: size of these frames as a multiple of those that the lenses are of."""
    view: View | None = None
    """The one camera whose lens alone is wrong, for `Correction.RESOLUTION` and `CROP`; None where both are."""
    hand_mm: float | None = None
    """From wrist to middle knuckle as the cameras have it, where that is far from what is expected; None where it is not."""
    unit_mm: float = 1.0
    """By what T is to be multiplied then, so that the hand is as large as expected."""
    expected_hand_mm: float = 0.0
    uncertainty: Uncertainty | None = None
    """How far rotation and baseline may be off by what hands tell; None unless hands confirm them."""
    pairs: int = 0
    """Number of keyframes that were judged."""
    since_ns: int | None = None
    """For a contradicted calibration that was confirmed before: time since the first pair from which on it does not fit."""
    applied: bool = False
    """Whether the corrected calibration is in use."""


@dataclass(frozen=True, slots=True)
class SolutionFigures:
    """The figures of a solution, accepted or not."""

    angle_deg: float
    """Angle of the rotation between the cameras."""
    uncertainty: Uncertainty
    inliers: float
    """Share of the joints, in [0, 1]."""
    advice: HandMotion | None = None
    """The motion that would help most now; None where none would help much, or none is needed."""


@dataclass(frozen=True, slots=True)
class CalibrationStatus:
    """How far the calibration has come."""

    phase: CalibrationPhase = CalibrationPhase.NO_HANDS
    progress: float = 0.0
    """In [0, 1]: up to 0.5 while keyframes are collected, 0.75 while a solution is verified, 1 once cameras are calibrated."""
    figures: SolutionFigures | None = None
    """Of the solution that the phase speaks of; None where there is none."""
    view: View | None = None
    """The frozen view; None in other phases."""
    rejection: RejectionReason | None = None
    """None in other phases than `REJECTED`."""
    stopped: bool = False
    """The solver has ended: no further solution will come, and what is known stays."""
    merge: MergeDecision | None = None
    """None until the cameras are calibrated."""
    check: CalibrationCheck | None = None
    """Of a given calibration; None without one."""
