"""What a teacher says of real hands that nobody labelled: where their joints are in each view, and how sure that is.

Two views' hands are fitted to the cameras' places (`runtime.fusion.hand_fit`); the fit, seen from each camera, teaches both: its
projection in 2D, its joints in that camera's axes in 3D. So a view learns from the other what it cannot see for itself.
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
"""Hands; how far off a joint is by the network that learns. A label as doubtful as that counts half."""


@dataclass(frozen=True, slots=True)
class ViewLabel:
    """One view's hand, as the teacher has it."""

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
        """(21,) how much each joint teaches, in [0, 1], 1 for a certain one: by inverse variance, the pupil's own included."""
        return 1 / (1 + (self.sigma / STUDENT_ERROR) ** 2)


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A frame pair, and where the hand is in it."""

    pair: FramePair
    labels: PerView[ViewLabel]


def view_labels(fitted: FittedHand, side: Side, geometry: TwoViewGeometry) -> PerView[ViewLabel]:
    """Both views' labels of a hand that was fitted to `geometry`."""
    seen_mm = geometry.seen(fitted.joints_mm)
    size_mm = float(np.linalg.norm(fitted.joints_mm[MIDDLE_MCP] - fitted.joints_mm[WRIST]))

    def label(view: View) -> ViewLabel:
        camera, joints_mm = geometry.cameras[view], seen_mm[view]
        # The fit tells how far off a joint is, not which way: each axis has its third.
        sigma_px = camera.focal_px / joints_mm[:, 2] * fitted.sigma_mm / np.sqrt(3)
        sigma = fitted.sigma_mm / size_mm
        return ViewLabel(view, side, camera, fitted.pixels[view], sigma_px, unit_hand(joints_mm), sigma)

    return PerView.of(label)
