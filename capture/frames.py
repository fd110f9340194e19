"""What a camera gives: one frame, and two frames that were captured together."""

from dataclasses import dataclass

import numpy as np

from capture.views import View


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of one camera."""

    view: View
    seq: int
    """Counts the camera's frames from 0, dropped ones included; for a file, the frame number in the file."""
    captured_ns: int
    """When the image was captured; host monotonic clock."""
    received_ns: int
    """When it arrived in this process; the same clock."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB, read-only."""
    fov_deg: float | None = None
    """Horizontal field of view, where the camera says so."""


@dataclass(frozen=True, slots=True)
class FramePair:
    """A frame of each view, captured within the pairing tolerance."""

    left: Frame
    right: Frame
    paired_ns: int | None = None
    """When it was settled that they belong together; host monotonic clock. None until whoever has a clock says so."""

    @property
    def skew_ns(self) -> int:
        """right.captured_ns − left.captured_ns."""
        return self.right.captured_ns - self.left.captured_ns

    def __getitem__(self, view: View) -> Frame:
        return self.left if view == "left" else self.right
