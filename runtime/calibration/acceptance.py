"""Whether a solution of the calibration is accepted, and why not."""

import numpy as np

from hand.rotations import angle_deg
from runtime.calibration.initialization import CameraEstimate
from runtime.calibration.solver import Solution
from runtime.calibration.status import RejectionReason, SolutionFigures

MAX_ROTATION_DEG, MAX_HAND_MM = 5.5, 16.0
"""Standard deviations up to which cameras count as known: of their rotation, and of the joints of hands fitted with them.
Baseline and focal lengths have no limits of their own: where cameras stand near to each other, or before a narrow view, both are
uncertain while they leave the hand as it is."""
MIN_INLIERS, MAX_NOISE, MAX_SHAPE_ERROR, MIN_RIVAL = 0.75, 1.6, 0.4, 1.5
"""Beyond these, the views do not show one hand at one time, or show it from two places equally well."""


def rejection_reason(solution: Solution) -> RejectionReason | None:
    """Why a solution is not accepted; None where it is."""
    if not views_agree(solution):
        return RejectionReason.VIEWS_DISAGREE
    if max(solution.shape_error) > MAX_SHAPE_ERROR:
        return RejectionReason.SHAPE_MISMATCH
    uncertainty = solution.uncertainty
    # In this form a figure that is not a number is refused.
    if not (uncertainty.rotation_deg <= MAX_ROTATION_DEG and (uncertainty.hand_mm or 0) <= MAX_HAND_MM):
        return RejectionReason.TOO_UNCERTAIN
    return RejectionReason.AMBIGUOUS if solution.rival < MIN_RIVAL else None


def views_agree(solution: Solution) -> bool:
    """Whether both views show one hand at one time, by inliers and noise."""
    return solution.inliers >= MIN_INLIERS and max(solution.noise) <= MAX_NOISE


def confirms(solution: Solution, before: CameraEstimate) -> bool:
    """Whether a solution agrees with cameras that were estimated before, within its uncertainty."""
    uncertainty, found = solution.uncertainty, solution.cameras
    t, u = (value / max(float(np.linalg.norm(value)), 1e-9) for value in (before.t_right_from_left, found.t_right_from_left))
    apart = float(np.degrees(np.arccos(np.clip(t @ u, -1, 1))))
    turned = float(angle_deg(before.R_right_from_left, found.R_right_from_left))
    return turned <= max(2.5 * uncertainty.rotation_deg, 1.5) and apart <= max(2.5 * uncertainty.baseline_deg, 2.5)


def figures_of(solution: Solution) -> SolutionFigures:
    """The figures of a solution, for its status."""
    angle = float(angle_deg(solution.cameras.R_right_from_left, np.eye(3)))
    return SolutionFigures(angle, solution.uncertainty, solution.inliers, solution.advice)
