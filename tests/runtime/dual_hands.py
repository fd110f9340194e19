"""Pairs and merged hands for tests of what comes after the pipeline."""

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.rotations import from_vector
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import DualHand, Timings, ViewHand
from tests.runtime.hands import flexed_hand

R_RIGHT_FROM_LEFT = from_vector(np.array([0.1, 1.2, -0.2]))
MS = 1_000_000


def frame_pair(seq: int) -> FramePair:
    """Pair `seq` of two 30 Hz cameras; tiny black images."""
    image = np.zeros((4, 6, 3), np.uint8)
    captured_ns = 1_000 * MS + seq * 33 * MS
    left = Frame("left", seq, captured_ns, captured_ns + 2 * MS, image)
    return FramePair(left, Frame("right", seq + 100, captured_ns + MS, captured_ns + 3 * MS, image))


def dual_hand(pair: FramePair, *, seen_by: tuple[View, ...] = ("left", "right"), rotation: np.ndarray | None = None) -> DualHand:
    """A hand seen by the named views and finished 20 ms after its capture."""
    joints = flexed_hand()

    def view_hand(view: View) -> ViewHand | None:
        own = joints if view == "left" else joints @ R_RIGHT_FROM_LEFT.T
        return ViewHand(view, "right", own, own[:, :2] * 50, np.full(21, 0.8)) if view in seen_by else None

    captured_ns = pair.right.captured_ns
    timings = Timings(
        captured_ns=captured_ns,
        received_ns=captured_ns + 2 * MS,
        paired_ns=captured_ns + 3 * MS,
        started_ns=captured_ns + 5 * MS,
        cropped_ns=captured_ns + 6 * MS,
        inferred_ns=captured_ns + 17 * MS,
        merged_ns=captured_ns + 20 * MS,
    )
    uncertainty_deg = float("inf") if rotation is None else 1.5
    weight_left = np.full(21, 0.5 if len(seen_by) == 2 else float(seen_by == ("left",)))
    return DualHand("right", joints, weight_left, PerView.of(view_hand), rotation, uncertainty_deg, timings)


def facing(angle_deg: float, distance_mm: float, fov_deg: tuple[float, float] = (60, 60), tilt: float = 0.0) -> TwoViewGeometry:
    """Two cameras that look at the point `distance_mm` before both, turned to each other by about `angle_deg`."""
    turn = from_vector(np.array([tilt, 0, -tilt])) @ from_vector(np.array([0, np.radians(angle_deg), 0]))
    ahead = np.array([0, 0, distance_mm])
    cameras = PerView(*(PinholeCamera.from_fov(64, 48, degrees) for degrees in fov_deg))
    return TwoViewGeometry(cameras, turn, ahead - turn @ ahead)
