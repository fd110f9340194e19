"""Cameras that were found, written as other programs read them: OpenCV's FileStorage, Kalibr's camchain, Anipose's TOML.

Lenses are written without distortion, as they were found: of frames that a given calibration undistorted, these are the cameras
of the undistorted frames. Each file also holds how certain the cameras are, where its program allows for keys of others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.rotations import to_vector
from runtime.geometry.two_view import TwoViewGeometry


@dataclass(frozen=True, slots=True)
class FoundCameras:
    """Cameras and how certain they are."""

    geometry: TwoViewGeometry
    rotation_deg: float | None = None
    """Standard deviation of the rotation; None where it is not known, as below."""
    baseline_deg: float | None = None
    """Standard deviation of the direction to the right camera."""
    focal_percent: PerView[float] | None = None
    """Standard deviation of each focal length."""
    hand_size_mm: float | None = None
    """Of the hand that gave the baseline its length."""

    @property
    def said(self) -> dict[str, float]:
        """What is known of their certainty, by key."""
        focal = self.focal_percent
        values = {
            "rotation_std_deg": self.rotation_deg,
            "baseline_std_deg": self.baseline_deg,
            "focal_std_percent_left": focal.left if focal else None,
            "focal_std_percent_right": focal.right if focal else None,
            "hand_size_mm": self.hand_size_mm,
        }
        return {key: float(value) for key, value in values.items() if value is not None}


def opencv_yaml(found: FoundCameras) -> str:
    """`cv::FileStorage` in YAML: K1, D1, K2, D2, R, T in mm (x_right = R x_left + T); the frames' size where it is one."""
    storage = cv2.FileStorage(".yml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    geometry = found.geometry
    left, right = geometry.cameras
    if left.size_px == right.size_px:
        storage.write("image_width", left.size_px[0])
        storage.write("image_height", left.size_px[1])
    for number, camera in ((1, left), (2, right)):
        storage.write(f"K{number}", _matrix(camera))
        storage.write(f"D{number}", np.zeros((1, 5)))
    storage.write("R", np.array(geometry.R_right_from_left, float))
    storage.write("T", np.array(geometry.t_right_from_left_mm, float).reshape(3, 1))
    storage.write("unit_mm", 1)
    for key, value in found.said.items():
        storage.write(key, value)
    return storage.releaseAndGetString()


def kalibr_yaml(found: FoundCameras) -> str:
    """Kalibr's camchain: cam0 is the left camera; T_cn_cnm1 in metres; how certain in comments, as Kalibr has no key for it."""
    geometry = found.geometry
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = geometry.R_right_from_left, np.array(geometry.t_right_from_left_mm) / 1000
    lines = [f"# {key}: {value:.6g}" for key, value in found.said.items()]
    for number, camera in enumerate(geometry.cameras):
        x, y = camera.centre_px
        lines += [
            f"cam{number}:",
            "  camera_model: pinhole",
            f"  intrinsics: {_row([camera.focal_px, camera.focal_px, x, y])}",
            "  distortion_model: radtan",
            "  distortion_coeffs: [0.0, 0.0, 0.0, 0.0]",
            f"  resolution: [{camera.size_px[0]}, {camera.size_px[1]}]",
        ]
        if number:
            lines += ["  T_cn_cnm1:", *(f"  - {_row(row)}" for row in T)]
    return "\n".join(lines) + "\n"


def anipose_toml(found: FoundCameras) -> str:
    """The TOML of Anipose and freemocap: a table a camera, rotation vector, translation in mm; the left camera is the world."""
    geometry = found.geometry
    poses = ((np.zeros(3), np.zeros(3)), (to_vector(geometry.R_right_from_left), np.array(geometry.t_right_from_left_mm)))
    lines = []
    for number, (name, camera, (rotation, t_mm)) in enumerate(zip(("left", "right"), geometry.cameras, poses, strict=True)):
        lines += [
            f"[cam_{number}]",
            f'name = "{name}"',
            f"size = [{camera.size_px[0]}, {camera.size_px[1]}]",
            f"matrix = [{', '.join(_row(row) for row in _matrix(camera))}]",
            "distortions = [0.0, 0.0, 0.0, 0.0, 0.0]",
            f"rotation = {_row(rotation)}",
            f"translation = {_row(t_mm)}",
            "fisheye = false",
            "",
        ]
    said = [f"{key} = {value!r}" for key, value in found.said.items()]
    return "\n".join([*lines, "[metadata]", "unit_mm = 1.0", *said]) + "\n"


WRITERS: dict[str, Callable[[FoundCameras], str]] = {"opencv": opencv_yaml, "kalibr": kalibr_yaml, "anipose": anipose_toml}
"""By the name of the program that reads it."""


def _matrix(camera: PinholeCamera) -> np.ndarray:
    x, y = camera.centre_px
    return np.array([[camera.focal_px, 0, x], [0, camera.focal_px, y], [0, 0, 1.0]])


def _row(values: np.ndarray | list[float]) -> str:
    return "[" + ", ".join(repr(float(value)) for value in values) + "]"
