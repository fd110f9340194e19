"""Two-view geometry: both cameras' poses, projection, triangulation and the epipolar constraint."""

from dataclasses import dataclass

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.rotations import angle_deg, skew


@dataclass(frozen=True, slots=True)
class TwoViewGeometry:
    """Both cameras and the pose of the right one: x_right = R_right_from_left x_left + t_right_from_left_mm."""

    cameras: PerView[PinholeCamera]
    R_right_from_left: np.ndarray
    """(3, 3)."""
    t_right_from_left_mm: np.ndarray
    """(3,) where the left camera is, right camera's axes. Its scale is that of the assumed hand size, unless a
    calibration gave it."""

    @property
    def right_in_left_mm(self) -> np.ndarray:
        """(3,) where the right camera is, left camera's axes."""
        return -self.R_right_from_left.T @ self.t_right_from_left_mm

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation between the cameras."""
        return float(angle_deg(self.R_right_from_left, np.eye(3)))

    def in_view_axes(self, points_mm: np.ndarray) -> PerView[np.ndarray]:
        """Points (..., 3), left camera's axes, in each camera's axes."""
        return PerView(points_mm, points_mm @ self.R_right_from_left.T + self.t_right_from_left_mm)

    def project(self, points_mm: np.ndarray) -> PerView[np.ndarray]:
        """Pixels (..., 2) in each view of points (..., 3) in the left camera's axes."""
        points = self.in_view_axes(points_mm)
        return PerView.of(lambda view: self.cameras[view].project(points[view]))

    def triangulate(self, pixels: PerView[np.ndarray], sigma_px: PerView[np.ndarray]) -> np.ndarray:
        """Points (..., 3) in mm, left camera's axes, nearest to both rays through `pixels` (..., 2).

        Each ray is weighted by the inverse variance, in angle, that follows from the pixel's standard deviation `sigma_px` (...).
        Parallel rays meet far away; rays that meet behind a camera give a point there.
        """
        left = self.cameras.left.rays(pixels.left)
        right = self.cameras.right.rays(pixels.right) @ self.R_right_from_left
        across = PerView(_across(left), _across(right))
        weight = PerView.of(lambda view: (self.cameras[view].focal_px / sigma_px[view]) ** 2)
        # Regularisation for nearly parallel rays, too small to matter elsewhere.
        total = weight.left + weight.right
        normal = weight.left[..., None, None] * across.left + weight.right[..., None, None] * across.right
        normal = normal + 1e-12 * total[..., None, None] * np.eye(3)
        target = weight.right[..., None] * (across.right @ self.right_in_left_mm)
        return np.linalg.solve(normal, target[..., None])[..., 0]

    def sampson_px(self, pixels: PerView[np.ndarray]) -> np.ndarray:
        """(...) epipolar residuals in px of pairs of pixels (..., 2).

        The Sampson distance (Hartley and Zisserman 2004, section 11.4.3), signed: to first order the length by which both
        pixels together must move for their rays to meet.
        """
        F = self.fundamental
        left, right = pixels.map(_homogeneous)
        line_right, line_left = left @ F.T, right @ F
        gradient = (line_right[..., :2] ** 2).sum(-1) + (line_left[..., :2] ** 2).sum(-1)
        return (right * line_right).sum(-1) / np.sqrt(np.maximum(gradient, 1e-18))

    @property
    def fundamental(self) -> np.ndarray:
        """(3, 3) F with rightᵀ F left = 0 for homogeneous pixels, up to scale."""
        t = self.t_right_from_left_mm / max(float(np.linalg.norm(self.t_right_from_left_mm)), 1e-9)
        inverse = self.cameras.map(lambda camera: np.linalg.inv(camera.matrix))
        return inverse.right.T @ skew(t) @ self.R_right_from_left @ inverse.left


def _across(rays: np.ndarray) -> np.ndarray:
    """(..., 3, 3) projections onto the planes across unit rays (..., 3)."""
    return np.eye(3) - rays[..., :, None] * rays[..., None, :]


def _homogeneous(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
