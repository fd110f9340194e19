"""Frames: one image of a camera, and two that were captured together."""

from dataclasses import dataclass, field, replace

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
    absent: bool = False
    """A black stand-in for a camera that is absent; the times are the other view's, and `seq` is its last real frame's, 0 before
    the first."""

    def stand_in(self, partner: "Frame") -> "Frame":
        """The stand-in for this view in a pair with a frame of the other view; this frame is its last."""
        height, width = self.image.shape[:2]
        blank = _blank(width, height)
        return replace(self, captured_ns=partner.captured_ns, received_ns=partner.received_ns, image=blank, absent=True)

    @classmethod
    def before_first(cls, view: View, partner: "Frame", size_px: tuple[int, int] | None, fov_deg: float | None) -> "Frame":
        """The stand-in for a view that has had no frame yet, of the size that it has announced, else of the other view's."""
        height, width = partner.image.shape[:2]
        blank = _blank(*(size_px or (width, height)))
        return cls(view, 0, partner.captured_ns, partner.received_ns, blank, fov_deg, absent=True)


def _blank(width: int, height: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image.flags.writeable = False
    return image


@dataclass(frozen=True, slots=True)
class FramePair:
    """A frame of each view, captured within the pairing tolerance; or, live, one frame and a stand-in for an absent view."""

    left: Frame
    right: Frame
    paired_ns: int | None = field(default=None, kw_only=True)
    """When they were paired; host monotonic clock. None until the receiving thread has set it."""

    @property
    def skew_ns(self) -> int:
        """right.captured_ns − left.captured_ns."""
        return self.right.captured_ns - self.left.captured_ns

    @property
    def complete(self) -> bool:
        """Whether both frames are real."""
        return not (self.left.absent or self.right.absent)

    def __getitem__(self, view: View) -> Frame:
        return self.left if view == "left" else self.right
