"""What the header of a recorded clip announces: its rate, its length, the shape of its pixels, its beginning."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import cv2

from capture.sources.container import read_container
from hand.errors import UserError

_MISSING_S, _MISSING_SHARE, _MISSING_FRAMES = 0.5, 0.1, 3
"""A clip breaks off where more is missing than this time or this share of it, and more than these frames: the length that a
header announces is that of the sound too, which may end a little later. A file that lacks bytes misses what it announces."""
_ROUNDING = 0.01
"""Of pixels that are square but for the rounding of a frame's size."""


@dataclass(frozen=True, slots=True)
class ClipHeader:
    """The header of one clip."""

    path: Path
    fps: float
    duration_s: float | None
    """That its frames should last; None where the header does not say, or says only how long the sound lasts."""
    missing_bytes: int
    """By which the file is shorter than its header says."""
    pixel_aspect: float
    """Width of a pixel over its height, in the frame as it is shown; 1 for square pixels."""
    created_at: datetime | None
    """When it was begun, in whole seconds, where the header says so."""

    @classmethod
    def read(cls, path: Path, capture: cv2.VideoCapture) -> "ClipHeader":
        """Of the file that `capture` has open. Raises UserError for one whose header cannot be that of a video."""
        fps = capture.get(cv2.CAP_PROP_FPS)
        if not 0.1 <= fps <= 1000:
            raise UserError(f"source '{path}' claims {fps:g} frames a second, which is no video; convert it to .mp4")
        container = read_container(path)
        missing_bytes = max((container.size_bytes or 0) - path.stat().st_size, 0)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        duration_s = count / fps if count > 0 else None
        if container.kind == "mp4" and duration_s and container.duration_s:
            # The count includes frames that an edit list cuts away, the duration sound that goes on.
            duration_s = min(duration_s, container.duration_s)
        elif container.kind == "matroska" and not missing_bytes:
            # The count is made of the whole file's duration, and in a whole file the frames themselves tell better.
            duration_s = None
        return cls(path, fps, duration_s, missing_bytes, _pixel_aspect(capture), container.created_at)

    @property
    def period_ns(self) -> int:
        return round(1e9 / self.fps)

    def square_size_px(self, size_px: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of a frame of `size_px` once its pixels are square: the shorter side of a pixel is lengthened."""
        width, height = size_px
        if abs(self.pixel_aspect - 1) < _ROUNDING:
            return size_px
        if self.pixel_aspect > 1:
            return round(width * self.pixel_aspect), height
        return width, round(height / self.pixel_aspect)

    def pixel_note(self, size_px: tuple[int, int]) -> str | None:
        """One sentence on frames of `size_px` whose pixels are not square; None where they are."""
        square = self.square_size_px(size_px)
        if square == size_px:
            return None
        shape = Fraction(self.pixel_aspect).limit_denominator(64)
        (width, height), (new_width, new_height) = size_px, square
        return (
            f"video {self.path}: its pixels are {shape.numerator}:{shape.denominator} wide, so frames of {width}x{height} px are "
            f"stretched to {new_width}x{new_height} px"
        )

    def cut_off(self, read_s: float) -> str | None:
        """One sentence where the frames of the whole file, which last `read_s`, are fewer than it announces; else None."""
        if self.duration_s is None:
            return None
        missing_s = self.duration_s - read_s
        allowed_s = max(min(_MISSING_S, _MISSING_SHARE * self.duration_s), _MISSING_FRAMES / self.fps)
        if missing_s < (1 / self.fps if self.missing_bytes else allowed_s):
            return None
        size = self.path.stat().st_size
        why = f"its file has {size} of {size + self.missing_bytes} bytes" if self.missing_bytes else "the rest cannot be decoded"
        return f"source '{self.path}' ends at {read_s:.1f} of {self.duration_s:.1f} s: {why}; copy it again from the camera"


def frame_count(source: str) -> int | None:
    """About how many frames a clip has, for progress bars; None where that is not known, as of a recording's view."""
    count = 0 if "#" in source else int(cv2.VideoCapture(source).get(cv2.CAP_PROP_FRAME_COUNT))
    return count if count > 0 else None


def _pixel_aspect(capture: cv2.VideoCapture) -> float:
    numerator, denominator = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    if not (numerator > 0 and denominator > 0 and 0.1 < numerator / denominator < 10):
        return 1.0
    aspect = numerator / denominator
    # It is that of the stored frame, which OpenCV turns as the file's orientation says.
    turned = capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180 == 90 and capture.get(cv2.CAP_PROP_ORIENTATION_AUTO)
    return 1 / aspect if turned else aspect
