"""A crop is a camera: a virtual pinhole camera that is turned to the hand, and mirrored for left hands.

A hand off the optical axis shows a side that a plain crop cannot tell from a turned hand. The crop's camera looks
straight at it, so that what a network answers turns into the frame's axes by one known rotation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from capture.views import View
from hand.camera import PinholeCamera
from hand.rotations import between
from runtime.types import HandBox, Side


@dataclass(frozen=True, slots=True)
class CropCamera:
    """The camera of one crop: S × S pixels, principal point in the middle, at the frame camera's place.

    Crop axes are right-handed camera axes, save for a mirrored crop: its x is flipped, in the image and in joints alike.
    """

    frame: PinholeCamera
    """The camera that took the frame."""
    size: int
    """S, px."""
    focal_px: float
    R_frame_from_crop: np.ndarray
    """(3, 3) proper rotation; the mirror is not in it."""
    mirror: bool
    """True for left hands, which networks see as right hands."""
    H_frame_from_crop: np.ndarray = field(init=False, repr=False, compare=False)
    """(3, 3) homography, homogeneous frame pixel ~ H @ homogeneous crop pixel; the mirror is in it."""

    def __post_init__(self) -> None:
        middle = (self.size - 1) / 2
        flip = -1.0 if self.mirror else 1.0
        ray_from_pixel = np.array([[flip, 0, -flip * middle], [0, 1, -middle], [0, 0, self.focal_px]]) / self.focal_px
        object.__setattr__(self, "H_frame_from_crop", self.frame.matrix @ self.R_frame_from_crop @ ray_from_pixel)

    @classmethod
    def looking_at(cls, box: HandBox, frame: PinholeCamera, size: int) -> "CropCamera":
        """The camera whose crop of `size` px spans `box` at its centre: turned there by the smallest rotation, then rolled."""
        return cls.at(frame, np.array(box.centre_px), box.size_px, size, mirror=box.side == "left", roll_deg=box.roll_deg)

    @classmethod
    def at(
        cls, frame: PinholeCamera, centre_px: np.ndarray, size_px: float, size: int, *, mirror: bool, roll_deg: float = 0.0
    ) -> "CropCamera":
        """As `looking_at`, from a square of `size_px` around `centre_px` (2,) in the frame."""
        ray = frame.rays(centre_px)
        # A pixel covers less angle the farther it is off the axis: cos²θ / f along the radius, cos θ / f across it.
        # Their geometric mean keeps the hand's area.
        angle_per_px = ray[2] ** 1.5 / frame.focal_px
        focal_px = size / (size_px * angle_per_px)
        cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
        roll = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return cls(frame, size, float(focal_px), between(np.array([0.0, 0.0, 1.0]), ray) @ roll, mirror)

    def frame_from_crop(self, pixels: np.ndarray) -> np.ndarray:
        """Frame pixels (..., 2) of crop pixels (..., 2)."""
        return _map(self.H_frame_from_crop, pixels)

    def crop_from_frame(self, pixels: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) of frame pixels (..., 2)."""
        return _map(np.linalg.inv(self.H_frame_from_crop), pixels)

    def joints_in_frame(self, joints: np.ndarray) -> np.ndarray:
        """Joints (..., 21, 3) in the frame camera's axes from crop axes: unmirrored, then turned."""
        return self.unmirrored(joints) @ self.R_frame_from_crop.T

    def joints_in_crop(self, joints: np.ndarray) -> np.ndarray:
        """Joints (..., 21, 3) in crop axes from the frame camera's axes."""
        return self.unmirrored(joints @ self.R_frame_from_crop)

    def unmirrored(self, joints: np.ndarray) -> np.ndarray:
        """Joints (..., 21, 3) with x flipped where the crop is mirrored; its own inverse."""
        return joints * np.array([-1.0, 1.0, 1.0]) if self.mirror else joints

    def project(self, joints: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) of points (..., 3) in crop axes."""
        return joints[..., :2] / joints[..., 2:] * self.focal_px + (self.size - 1) / 2

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The crop (S, S, 3) uint8 of a frame (H, W, 3) uint8; black outside of the frame."""
        H = self.H_frame_from_crop
        middle, last = (self.size - 1) / 2, self.size - 1
        ends = [[middle - 0.5, middle], [middle + 0.5, middle]]
        before, after, *corners = _map(H, np.array([*ends, [0, 0], [last, 0], [0, last], [last, last]])).tolist()
        shrink = min(int(math.dist(before, after)), *image.shape[:2])
        if shrink >= 2:
            # Bilinear sampling looks at four pixels only: average whole blocks first, of the part that is needed.
            image, (x, y) = _shrunk_part(image, corners, shrink)
            H = np.array([(H[0] - x * H[2]) / shrink, (H[1] - y * H[2]) / shrink, H[2]])
        return cv2.warpPerspective(image, H, (self.size, self.size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


@dataclass(frozen=True, slots=True)
class HandCrop:
    """What a network sees of one view."""

    view: View
    side: Side
    camera: CropCamera
    image: np.ndarray
    """(S, S, 3) uint8 RGB."""

    @classmethod
    def cut(cls, box: HandBox, frame: PinholeCamera, image: np.ndarray, size: int) -> "HandCrop":
        """Cut `box` out of `image` (H, W, 3), which `frame` took."""
        camera = CropCamera.looking_at(box, frame, size)
        return cls(box.view, box.side, camera, camera.cut(image))


def _map(H: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    mapped = np.asarray(pixels, float) @ H[:, :2].T + H[:, 2]
    return mapped[..., :2] / mapped[..., 2:]


def _shrunk_part(image: np.ndarray, corners: list[list[float]], shrink: int) -> tuple[np.ndarray, tuple[float, float]]:
    """The part of `image` around `corners` (x, y), with blocks of `shrink` px averaged, and where its pixel (0, 0) lies."""

    def span(values: Sequence[float], length: int) -> tuple[int, int]:
        """First pixel, and how many blocks."""
        low = min(max(math.floor(min(values)) - 2 * shrink, 0), length - shrink)
        high = min(max(math.ceil(max(values)) + 2 * shrink, low + shrink), length)
        return low, (high - low) // shrink

    (left, columns), (top, rows) = (span(*one) for one in zip(zip(*corners, strict=True), image.shape[1::-1], strict=True))
    part = image[top : top + rows * shrink, left : left + columns * shrink]
    if shrink > 2 and shrink % 2 == 0:
        # Halving first is several times as quick, and rounds once more.
        part = cv2.resize(part, (part.shape[1] // 2, part.shape[0] // 2), interpolation=cv2.INTER_AREA)
    middle = (shrink - 1) / 2
    return cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), (left + middle, top + middle)
