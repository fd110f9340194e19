"""Pixels at which the views observe a hand's joints, as residuals of a fit: normal matrices and gradients."""

from dataclasses import dataclass

import numpy as np

from capture.views import View
from hand.joints import JOINTS
from runtime.geometry.two_view import TwoViewGeometry

NEAREST = 0.5
"""Hands; a hand nearer to a camera than this is none."""


@dataclass(frozen=True, slots=True)
class Cameras:
    """The V cameras that see a hand; lengths in hands."""

    R: np.ndarray
    """(V, 3, 3) view from left."""
    t: np.ndarray
    """(V, 3)."""
    focal_px: np.ndarray
    """(V, 1)."""
    centre_px: np.ndarray
    """(V, 2)."""

    @classmethod
    def of(cls, views: tuple[View, ...], geometry: TwoViewGeometry, hand_mm: float) -> "Cameras":
        """Those of some views, where a hand is so large."""
        places = {
            "left": (np.eye(3), np.zeros(3)),
            "right": (geometry.R_right_from_left, geometry.t_right_from_left_mm / hand_mm),
        }
        R, t = (np.array(part) for part in zip(*(places[view] for view in views), strict=True))
        cameras = [geometry.cameras[view] for view in views]
        return cls(R, t, np.array([[camera.focal_px] for camera in cameras]), np.array([camera.centre_px for camera in cameras]))

    def in_view_axes(self, joints: np.ndarray) -> np.ndarray:
        """(21, V, 3) joints (21, 3), left camera's axes, in each view's axes."""
        return (joints @ self.R.reshape(-1, 3).T).reshape(JOINTS, -1, 3) + self.t

    def sees(self, joints: np.ndarray) -> bool:
        """Whether joints (21, 3) are finite and before every camera."""
        return bool((self.in_view_axes(joints)[..., 2] > NEAREST).all())


@dataclass(frozen=True, slots=True)
class ViewObservations:
    """Pixels of the joints in V views, in standard deviations."""

    cameras: Cameras
    scale: np.ndarray
    """(21, V, 1) focal length in standard deviations of the joint's pixel."""
    pixels: np.ndarray
    """(21, V, 2) pixels, from the principal point, in standard deviations."""

    @classmethod
    def of(cls, cameras: Cameras, pixels: np.ndarray, sigma_px: np.ndarray) -> "ViewObservations":
        """Of pixels (V, 21, 2) and their standard deviations (V, 21)."""
        sigma = sigma_px.T[..., None]
        return cls(cameras, cameras.focal_px / sigma, (pixels.swapaxes(0, 1) - cameras.centre_px) / sigma)

    def placed(self, shape: np.ndarray) -> np.ndarray:
        """A shape (21, 3), left camera's axes, shifted to where it fits all pixels best; linear least squares.

        From u (z_j + Z) = x_j + X for each joint in each view's axes, u = (pixel − centre) / focal length.
        """
        R, points = self.cameras.R, self.cameras.in_view_axes(shape)
        rows = (self.scale[..., None] * R[:, :2] - self.pixels[..., None] * R[:, None, 2]).reshape(-1, 3)
        target = (self.pixels * points[..., 2:] - self.scale * points[..., :2]).ravel()
        return shape + np.linalg.solve(rows.T @ rows + 1e-12 * np.eye(3), rows.T @ target)

    def pull(self, joints: np.ndarray, knee: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrices (21, 3, 3) and gradients (21, 3) of half of Σ ρ at `joints` (21, 3), and their traces by view (V, 21).

        ρ is Geman and McClure's loss of errors in standard deviations, at most knee².
        """
        R, points = self.cameras.R, self.cameras.in_view_axes(joints)
        depth = np.maximum(points[..., 2:], NEAREST)
        sight = points[..., :2] / depth
        error = self.scale * sight - self.pixels
        # The square root of the loss's derivative.
        root = 1 / (1 + (error * error).sum(-1, keepdims=True) / knee**2)
        slope = R[:, :2] - sight[..., None] * R[:, None, 2]
        slope *= (root * self.scale / depth)[..., None]
        flat = slope.reshape(JOINTS, -1, 3)
        turned = flat.swapaxes(1, 2)
        gradient = turned @ (root * error).reshape(JOINTS, -1, 1)
        return turned @ flat, gradient[..., 0], (slope * slope).sum((2, 3)).T
