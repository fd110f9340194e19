"""A square of a frame, turned as the hand in it is: what is cut out for networks that take plain crops."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, slots=True)
class Square:
    """A square in a frame; its own up is turned clockwise from the frame's."""

    centre_px: tuple[float, float]
    """(x, y) in the frame."""
    size_px: float
    """Side length in the frame."""
    roll_deg: float = 0.0

    def frame_from_crop(self, size: int) -> np.ndarray:
        """(2, 3) similarity: frame pixels of the pixels of a crop of `size` px, whose corner is its pixel (0, 0)."""
        scale = self.size_px / size
        cos, sin = scale * np.cos(np.radians(self.roll_deg)), scale * np.sin(np.radians(self.roll_deg))
        turn = np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([turn, np.array(self.centre_px) - turn @ np.full(2, size / 2)])

    def cut(self, image: np.ndarray, size: int, *, outside: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """The crop (size, size, 3) of `image` (H, W, 3), sampled bilinearly; `outside` says what is beyond the image."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, self.frame_from_crop(size), (size, size), flags=flags, borderMode=outside)

    def to_frame(self, points: np.ndarray, size: int) -> np.ndarray:
        """Frame pixels (..., 2) of crop pixels (..., 2)."""
        matrix = self.frame_from_crop(size)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def moved(self, across: float, down: float, scale: float) -> "Square":
        """The square `across` and `down` in shares of its side, along its own axes, and `scale` times as large."""
        x, y = self.to_frame(np.array([0.5 + across, 0.5 + down]), 1)
        return Square((float(x), float(y)), self.size_px * scale, self.roll_deg)
