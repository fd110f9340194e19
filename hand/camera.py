"""A pinhole camera: OpenCV axes (x right, y down, z forward), pixel (0, 0) is the centre of the top left pixel."""

from dataclasses import dataclass

import numpy as np

DEFAULT_FOV_DEG = 60.0
"""Horizontal field of view assumed where nothing is known about a camera."""


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """An ideal camera with square pixels."""

    focal_px: float
    centre_px: tuple[float, float]
    """Principal point (x, y)."""
    size_px: tuple[int, int]
    """(width, height)."""

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float = DEFAULT_FOV_DEG) -> "PinholeCamera":
        """Camera with the principal point in the image's middle; `fov_deg` is the horizontal field of view."""
        focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
        return cls(float(focal), ((width - 1) / 2, (height - 1) / 2), (width, height))

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view."""
        return float(np.degrees(2 * np.arctan(self.size_px[0] / 2 / self.focal_px)))

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) K with homogeneous pixel = K @ point."""
        (cx, cy), f = self.centre_px, self.focal_px
        return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in this camera's axes; undefined for points at z ≤ 0."""
        return points[..., :2] / points[..., 2:] * self.focal_px + np.asarray(self.centre_px)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Unit directions (..., 3), camera axes, of pixels (..., 2)."""
        xy = (np.asarray(pixels, float) - np.asarray(self.centre_px)) / self.focal_px
        ray = np.ones((*xy.shape[:-1], 3))
        ray[..., :2] = xy
        return ray / np.sqrt((ray * ray).sum(-1, keepdims=True))
