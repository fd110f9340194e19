"""A video file as a source, with the file's frame numbers and times."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np

from capture.clip_timing import ClipTiming
from capture.sources.base import DEFAULT_MODE, CapturedImage, DeviceMode, Source, SourceSpec
from capture.sources.clip_header import ClipHeader
from capture.sources.container import read_container
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

_SKIP_LIMIT = 5
"""Frames left out in a row to catch up; a machine too slow for the file still shows every sixth."""

_OWN_TIMES = ClipTiming()

# OpenCV reads this when it first opens a video: the decoder's own messages say less than ours.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True, slots=True)
class VideoFile(SourceSpec):
    """`clip.mp4`: a recorded video."""

    lasting: ClassVar[bool] = False

    path: Path
    timing: ClipTiming = _OWN_TIMES

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "VideoFile | None":
        path = Path(text)
        if not path.is_file():
            return None
        if path.suffix == ".mcap":
            raise UserError(
                f"source {text!r} is a recording of two cameras: give {text}#left or {text}#right, or --replay {text}"
            )
        return cls(path)

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return FileSource(self.path, paced=paced, timing=self.timing)

    def timed(self, timing: ClipTiming) -> "VideoFile":
        return replace(self, timing=timing)

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        FileSource(self.path, paced=False).close()
        return ()

    @property
    def clip_header(self) -> ClipHeader:
        source = FileSource(self.path, paced=False)
        source.close()
        return source.header

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def name(self) -> str:
        return str(self.path.resolve())


class FileSource:
    """Yields a file's frames with square pixels, timed from a start that both views share.

    Paced, a frame comes when it is due, and one that is overdue by a period is left out, as a camera would; unpaced,
    all frames come as fast as they are read.
    """

    fov_deg = None

    def __init__(self, path: Path, *, paced: bool, timing: ClipTiming = _OWN_TIMES) -> None:
        """Raises UserError for a file that holds no video."""
        self._timing = timing
        self._path = path
        self._paced = paced
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise UserError(f"source '{path}' cannot be read as a video{_why(path)}")
        try:
            self.header = ClipHeader.read(path, self._capture)
        except UserError:
            self.close()
            raise
        width, height = (self._capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self._stored_px = int(width), int(height)

    @property
    def note(self) -> str | None:
        """That frames are widened, where their pixels are not square."""
        return self.header.pixel_note(self._stored_px)

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) of the frames, their pixels being square."""
        return self.header.square_size_px(self._stored_px)

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """Frames before the shared clock begins are left out.

        Raises UserError if the file holds no frame after that, breaks off inside one, or ends before its header says.
        """
        period_ns = self.header.period_ns
        shared_period_ns = period_ns / self._timing.slower
        seq, media_ns, first_ns, skipped, yielded = 0, 0, 0, 0, False
        while self._capture.grab():
            stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if seq == 0:
                first_ns = stamp_ns
            else:
                # Some containers hold no times, or repeat them; frames then come at the nominal rate.
                media_ns = stamp_ns - first_ns if stamp_ns - first_ns > media_ns else media_ns + period_ns
            shared_ns = self._timing.shared_ns(media_ns)
            due_ns = start_ns + shared_ns
            overdue = time.monotonic_ns() > due_ns + shared_period_ns
            if shared_ns < -shared_period_ns / 2:
                skipped = 0
            elif self._paced and overdue and skipped < _SKIP_LIMIT:
                skipped += 1
            else:
                skipped = 0
                ok, bgr = self._capture.retrieve()
                if not ok:
                    raise UserError(f"source '{self._path}' breaks off at frame {seq}; cut it there or convert it again")
                image = self._square(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
                if self._paced:
                    time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
                yield CapturedImage(seq, due_ns, image)
                yielded = True
            seq += 1
        if seq == 0:
            raise UserError(f"source '{self._path}' holds no frame; record it again")
        cut_off = self.header.cut_off((media_ns + period_ns) / 1e9)
        if cut_off is not None:
            raise UserError(cut_off)
        if not yielded:
            length_s, begin_s = (media_ns + period_ns) / 1e9, -self._timing.later_s * self._timing.slower
            raise UserError(
                f"source '{self._path}' lasts {length_s:.1f} s, and the other clip begins {begin_s:.1f} s after it; "
                f"give an --offset at which they share time"
            )

    def _square(self, image: np.ndarray) -> np.ndarray:
        """The same image (H, W, 3) with square pixels."""
        height, width = image.shape[:2]
        size_px = self.header.square_size_px((width, height))
        return image if size_px == (width, height) else cv2.resize(image, size_px)

    def close(self) -> None:
        self._capture.release()


def _why(path: Path) -> str:
    """What is wrong with a file that cannot be opened, and what to do."""
    size, whole = path.stat().st_size, read_container(path).size_bytes
    if whole is not None and whole > size:
        return f": it has {size} of {whole} bytes, and lacks the index at its end; copy it again from the camera"
    return "; give a file that plays elsewhere, such as H.264 in .mp4"
