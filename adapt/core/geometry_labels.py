"""Pseudo-labels from geometry: where the joints of an unlabelled real hand are in each view, and how certain that is.

A hand is fitted to both views with the calibration (`runtime.fusion.hand_fit`); the fit, seen from each camera, labels both: its
projection in 2D, its joints in that camera's axes in 3D. So each view is trained on what only the other one sees.
"""

from dataclasses import dataclass

import numpy as np

from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import MIDDLE_MCP, WRIST, unit_hand
from runtime.fusion.hand_fit import FittedHand
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side

STUDENT_ERROR = 0.3
"""Hands; error of a joint as the student predicts it. A label with this standard deviation has weight 0.5."""


@dataclass(frozen=True, slots=True)
class ViewLabel:
    """Pseudo-label of one view's hand."""

    view: View
    side: Side
    camera: PinholeCamera
    """That took the frame."""
    pixels: np.ndarray
    """(21, 2) joints in the frame."""
    sigma_px: np.ndarray
    """(21,) standard deviation of each pixel along one axis."""
    joints: np.ndarray
    """(21, 3) unit hand, that camera's axes."""
    sigma: np.ndarray
    """(21,) expected distance of each joint from the truth, hands."""

    @property
    def weight(self) -> np.ndarray:
        """(21,) of each joint in the loss, in [0, 1]: by inverse variance, with the student's own; 1 for a certain label."""
        return 1 / (1 + (self.sigma / STUDENT_ERROR) ** 2)


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A frame pair with its pseudo-labels."""

    pair: FramePair
    labels: PerView[ViewLabel]


def view_labels(fitted: FittedHand, side: Side, geometry: TwoViewGeometry) -> PerView[ViewLabel]:
    """Both views' labels of a hand that was fitted to `geometry`."""
    seen_mm = geometry.in_view_axes(fitted.joints_mm)
    size_mm = float(np.linalg.norm(fitted.joints_mm[MIDDLE_MCP] - fitted.joints_mm[WRIST]))

    def label(view: View) -> ViewLabel:
        camera, joints_mm = geometry.cameras[view], seen_mm[view]
        # The fit tells how far off a joint is, not which way: each axis has its third.
        sigma_px = camera.focal_px / joints_mm[:, 2] * fitted.sigma_mm / np.sqrt(3)
        sigma = fitted.sigma_mm / size_mm
        return ViewLabel(view, side, camera, fitted.pixels[view], sigma_px, unit_hand(joints_mm), sigma)

    return PerView.of(label)
