"""What is known of a recorded clip: left.mp4, right.mp4, reference.npz and calibration.json of its folder."""

import json
from pathlib import Path

import cv2
import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import JOINTS
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand
from tools.evaluate.two_views import Observed, Rig

CLIP_FPS = 30
CLIP_CONFIDENCE = 0.9


def check_clip(folder: Path) -> None:
    """Raises UserError where a file of the clip is missing."""
    for file in (folder / name for name in ("left.mp4", "right.mp4", "reference.npz", "calibration.json")):
        if not file.is_file():
            raise UserError(f"{file} is not there: give the folder of a recorded clip with its reference")


def observed_clip(folder: Path) -> tuple[Observed, PerView[np.ndarray]]:
    """A clip's reference landmarks as 2D observations, and both views' pixels (N, 21, 2) as they are in the file.

    Raises UserError where a file is missing.
    """
    check_clip(folder)
    with np.load(folder / "reference.npz") as reference:
        joints_mm = reference["joints_left_mm"]
        pixels = PerView.of(lambda view: reference[f"keypoints_{view}_px"])
    calibration = json.loads((folder / "calibration.json").read_text())

    def camera(view: View) -> PinholeCamera:
        K = np.array(calibration[view]["K"])
        video = cv2.VideoCapture(str(folder / f"{view}.mp4"))
        size_px = (int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        return PinholeCamera(float(K[0, 0] + K[1, 1]) / 2, (float(K[0, 2]), float(K[1, 2])), size_px)

    cameras = PerView.of(camera)
    R, t = (np.array(calibration[key]) for key in ("R_right_from_left", "t_right_from_left_mm"))
    fov_deg = cameras.map(lambda one: float(np.degrees(2 * np.arctan(one.size_px[0] / 2 / one.focal_px))))
    axes_deg = float(np.degrees(np.arccos(np.clip(R[2, 2], -1, 1))))
    rig = Rig(TwoViewGeometry(cameras, R, t), np.eye(3), np.zeros(3), fov_deg, axes_deg)
    whole = np.asarray(np.isfinite(np.concatenate([joints_mm, *pixels], -1)).all((1, 2)))

    def hand(view: View, number: int) -> ViewHand:
        return ViewHand(view, "right", np.full((JOINTS, 3), np.nan), pixels[view][number], np.full(JOINTS, CLIP_CONFIDENCE))

    pairs = [PerView(hand("left", n), hand("right", n)) if there else None for n, there in enumerate(whole)]
    captured_ns = (np.arange(len(pairs)) * 1e9 / CLIP_FPS).astype(np.int64)
    return Observed(rig, joints_mm, captured_ns, pairs), pixels
