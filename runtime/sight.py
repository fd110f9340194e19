"""Where the views see a hand's joints, and how that pulls at joints in space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capture.views import View
from hand.joints import JOINTS
from runtime.geometry import TwoViewGeometry

NEAREST = 0.5
"""Hands; a hand nearer to a camera than this is none."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Joints as V views see them; lengths in hands, left camera's axes."""

    pixels: np.ndarray
    """(21, V, 2)."""
    sigma_px: np.ndarray
    """(21, V) standard deviations along one axis."""
    R: np.ndarray
    """(V, 3, 3) view from left."""
    t: np.ndarray
    """(V, 3)."""
    focal_px: np.ndarray
    """(V, 1)."""
    centre_px: np.ndarray
    """(V, 2)."""

    @classmethod
    def of(
        cls, views: Sequence[View], pixels: np.ndarray, sigma_px: np.ndarray, geometry: TwoViewGeometry, hand_mm: float
    ) -> "Sight":
        """Of pixels (V, 21, 2) and their standard deviations (V, 21) in `views`, of which there may be one or two."""
        places = {
            "left": (np.eye(3), np.zeros(3)),
            "right": (geometry.R_right_from_left, geometry.t_right_from_left_mm / hand_mm),
        }
        R, t = (np.array(part) for part in zip(*(places[view] for view in views), strict=True))
        cameras = [geometry.cameras[view] for view in views]
        focal_px, centre_px = (
            np.array([[camera.focal_px] for camera in cameras]),
            np.array([camera.centre_px for camera in cameras]),
        )
        return cls(pixels.swapaxes(0, 1), sigma_px.T, R, t, focal_px, centre_px)

    def placed(self, shape: np.ndarray) -> np.ndarray:
        """A shape (21, 3), left camera's axes, shifted to where all pixels together want it; linear least squares.

        From u (z_j + Z) = x_j + X for each joint in each view's axes, u = (pixel − centre) / focal length.
        """
        u = (self.pixels - self.centre_px) / self.focal_px
        rows = (self.R[:, :2] - u[..., None] * self.R[:, None, 2]) / self.sigma_px[..., None, None]
        there = self.seen(shape)
        target = (u * there[..., 2:] - there[..., :2]) / self.sigma_px[..., None]
        rows, target = rows.reshape(-1, 3), target.ravel()
        return shape + np.linalg.solve(rows.T @ rows + 1e-12 * np.eye(3), rows.T @ target)

    def seen(self, joints: np.ndarray) -> np.ndarray:
        """(21, V, 3) joints (21, 3) in each view's axes."""
        return (joints @ self.R.reshape(-1, 3).T).reshape(JOINTS, -1, 3) + self.t

    def pull(self, joints: np.ndarray, knee: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Normal matrices (21, 3, 3) and gradients (21, 3) of half of Σ ρ at `joints` (21, 3), and their traces by view (V, 21).

        ρ is Geman and McClure's loss of errors in standard deviations, at most knee².
        """
        there = self.seen(joints)
        depth = np.maximum(there[..., 2:], NEAREST)
        sight = there[..., :2] / depth
        error = (self.focal_px * sight + self.centre_px - self.pixels) / self.sigma_px[..., None]
        # The square root of the loss's derivative.
        root = 1 / (1 + (error * error).sum(-1, keepdims=True) / knee**2)
        slope = self.R[:, :2] - sight[..., None] * self.R[:, None, 2]
        slope *= (root * self.focal_px / (self.sigma_px[..., None] * depth))[..., None]
        flat = slope.reshape(JOINTS, -1, 3)
        turned = flat.swapaxes(1, 2)
        gradient = turned @ (root * error).reshape(JOINTS, -1, 1)
        return turned @ flat, gradient[..., 0], (slope * slope).sum((2, 3)).T

    def reprojection_px(self, joints: np.ndarray) -> float:
        """Root mean square distance of the projected joints from the pixels, weighted by inverse variance."""
        there = self.seen(joints)
        error = self.focal_px * (there[..., :2] / there[..., 2:]) + self.centre_px - self.pixels
        weight = self.sigma_px**-2.0
        return float(np.sqrt((weight * (error * error).sum(-1)).sum() / weight.sum()))
