"""Lens models and undistortion: frames as an ideal pinhole camera would have taken them.

Pixel (0, 0) is the centre of the top left pixel, as in OpenCV: scaling a frame scales pixel + ½.
"""

from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.geometry.calibration_size import other_size

Distortion = Literal["none", "radtan", "equidistant"]
COEFFICIENTS: dict[Distortion, tuple[int, ...]] = {"none": (0,), "radtan": (4, 5, 8, 12, 14), "equidistant": (4,)}
"""How many coefficients each model may have; radtan's as OpenCV counts them."""

MAX_FOV_DEG = 110.0
"""Widest field of view of an undistorted frame: beyond, it is mostly stretched edges."""
_MAX_ANGLE_DEG = 85.0
_ASPECT_TOLERANCE = 0.01
"""Modes such as 848 × 480 are 16:9 but for rounding."""
_NEGLIGIBLE_PX = 0.1


@dataclass(frozen=True, slots=True)
class Lens:
    """Projection of a calibrated camera."""

    focal_px: tuple[float, float]
    """(fx, fy)."""
    centre_px: tuple[float, float]
    """Principal point (cx, cy)."""
    distortion: Distortion = "none"
    coefficients: tuple[float, ...] = ()
    """`radtan`: OpenCV's k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [τx τy]]]]; `equidistant`: k1 k2 k3 k4 of OpenCV's fisheye, which
    are those of Kalibr's equi (Kannala and Brandt 2006)."""
    size_px: tuple[int, int] | None = None
    """(width, height) of the calibration's frames; None where it does not say."""

    def __post_init__(self) -> None:
        assert len(self.coefficients) in COEFFICIENTS[self.distortion], (self.distortion, self.coefficients)

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) K."""
        (fx, fy), (cx, cy) = self.focal_px, self.centre_px
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def at(self, size_px: tuple[int, int]) -> "Lens":
        """The same lens for frames of `size_px` with the same field of view.

        Raises UserError for frames of another aspect ratio, and where the calibration does not say its frames' size and its
        principal point is not where such frames have theirs.
        """
        width, height = size_px
        if self.size_px is None:
            other_px = other_size(self.centre_px, size_px)
            if other_px is not None:
                (x, y), made_at = self.centre_px, f"{other_px[0]}x{other_px[1]}"
                raise UserError(
                    f"the calibration's principal point ({x:.0f}, {y:.0f}) is in the middle of frames of {made_at} px, and the "
                    f"frames have {width}x{height}: expected one near their middle; add image_width and image_height, the size "
                    f"at which the calibration was made, to its file ({other_px[0]} and {other_px[1]}, it seems)"
                )
            return replace(self, size_px=size_px)
        scale = np.divide(size_px, self.size_px)
        if abs(scale[0] / scale[1] - 1) > _ASPECT_TOLERANCE:
            raise UserError(
                f"the calibration was made at {self.size_px[0]}x{self.size_px[1]} px and the frames have {width}x{height}: "
                "expected frames of the same aspect ratio; calibrate the camera as it is used"
            )
        fx, fy = (float(f) for f in self.focal_px * scale)
        cx, cy = (float(c) for c in (np.array(self.centre_px) + 0.5) * scale - 0.5)
        return replace(self, focal_px=(fx, fy), centre_px=(cx, cy), size_px=size_px)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) in the camera's own frames of points (..., 3) in its axes; points at z ≤ 0 have no meaning."""
        points = np.asarray(points, float)
        zero = np.zeros(3)
        project = cv2.fisheye.projectPoints if self.distortion == "equidistant" else cv2.projectPoints
        pixels, _ = project(points.reshape(-1, 1, 3), zero, zero, self.matrix, np.array(self.coefficients))
        return np.asarray(pixels).reshape(*points.shape[:-1], 2)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Directions (..., 3), camera axes, of length 1, of pixels (..., 2) in the camera's own frames."""
        undistort = cv2.fisheye.undistortPoints if self.distortion == "equidistant" else cv2.undistortPoints
        sight = undistort(np.asarray(pixels, float).reshape(-1, 1, 2), self.matrix, np.array(self.coefficients))
        ray = np.concatenate([sight.reshape(-1, 2), np.ones((len(sight), 1))], 1)
        return (ray / np.linalg.norm(ray, axis=1, keepdims=True)).reshape(*np.shape(pixels)[:-1], 3)

    def growth(self) -> tuple[np.ndarray, np.ndarray]:
        """Radial profile: angles off the axis in rising order, and the image radius of each in focal lengths, both (N,).

        It ends where the fitted polynomial begins to fall: beyond, it is not one to one.
        """
        angle = np.radians(np.linspace(0, _MAX_ANGLE_DEG, 2000))
        k = np.array(self.coefficients)
        if self.distortion == "equidistant":
            radius = angle * (1 + np.polyval([*k[::-1], 0], angle**2))
        else:
            k = np.concatenate([k, np.zeros(14 - len(k))])
            above, below = [k[4], k[1], k[0], 1.0], [k[7], k[6], k[5], 1.0]
            radius = np.tan(angle) * np.polyval(above, np.tan(angle) ** 2) / np.polyval(below, np.tan(angle) ** 2)
        falls = np.diff(radius) <= 0
        end = int(np.argmax(falls)) + 1 if falls.any() else len(angle)
        return angle[:end], radius[:end]


class Undistorter:
    """Resamples a lens' frames as those of `camera`, an ideal one with the same size and principal point.

    Frames that need no undistortion are returned as they are. On one core of a busy AMD EPYC the others took 3 ms
    (640 × 480) and 7 ms (1280 × 720), at best 1.3 and 4.9 ms.
    """

    def __init__(self, lens: Lens, *, centred: bool = False):
        """`lens`: with the frames' size (`Lens.at`). `centred`: the ideal camera's principal point is the frame's middle."""
        self.lens = lens
        camera = ideal_camera(lens)
        width, height = camera.size_px
        self.camera = replace(camera, centre_px=((width - 1) / 2, (height - 1) / 2)) if centred else camera
        """`lens.project(camera.rays(pixels))` maps undistorted pixels to the original frame."""
        self._maps = _maps(lens, self.camera)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The frame (H, W, 3) uint8, read-only, as `camera` would have taken it; black where the lens saw nothing.

        Raises UserError for a frame of another size.
        """
        height, width = image.shape[:2]
        if (width, height) != self.camera.size_px:
            expected = "x".join(map(str, self.camera.size_px))
            raise UserError(f"a frame has {width}x{height} px: expected {expected}, as the frames before it; start again")
        if self._maps is None:
            return image
        undistorted = cv2.remap(image, *self._maps, cv2.INTER_LINEAR)
        undistorted.flags.writeable = False
        return undistorted


def ideal_camera(lens: Lens) -> PinholeCamera:
    """The camera that keeps what the lens sees straight left, right, above and below of its centre, within `MAX_FOV_DEG`.

    `lens`: with the frames' size.
    """
    size_px = lens.size_px
    assert size_px is not None, "the lens lacks the frames' size: see Lens.at"
    if lens.distortion == "none":
        return PinholeCamera(min(lens.focal_px), lens.centre_px, size_px)
    angle, radius = lens.growth()
    to_edge = np.array([*(np.array(lens.centre_px) + 0.5), *(np.array(size_px) - 0.5 - lens.centre_px)])
    edge_angle = np.interp(to_edge / [*lens.focal_px, *lens.focal_px], radius, angle)
    to_keep_all = (to_edge / np.tan(edge_angle)).min()
    to_be_no_wider = max(size_px) / 2 / np.tan(np.radians(MAX_FOV_DEG / 2))
    return PinholeCamera(float(max(to_keep_all, to_be_no_wider)), lens.centre_px, size_px)


def _maps(lens: Lens, camera: PinholeCamera) -> tuple[np.ndarray, np.ndarray] | None:
    """Where each pixel of `camera` is in the lens' frame, in the fixed-point form that `cv2.remap` is fastest with; None
    where it already is.
    """
    width, height = camera.size_px
    make = cv2.fisheye.initUndistortRectifyMap if lens.distortion == "equidistant" else cv2.initUndistortRectifyMap
    x, y = make(lens.matrix, np.array(lens.coefficients), np.eye(3), camera.matrix, camera.size_px, cv2.CV_32FC1)
    grid_x, grid_y = np.meshgrid(np.arange(width), np.arange(height))
    if max(np.abs(x - grid_x).max(), np.abs(y - grid_y).max()) < _NEGLIGIBLE_PX:
        return None
    reach_px = camera.focal_px * np.tan(lens.growth()[0][-1])
    beyond = np.hypot(grid_x - camera.centre_px[0], grid_y - camera.centre_px[1]) > reach_px
    x[beyond] = y[beyond] = -2
    return cv2.convertMaps(x, y, cv2.CV_16SC2)
