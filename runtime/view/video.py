"""Video output: an MP4 file whose pictures are timed by their capture times, and that plays whatever happens to the disk."""

import errno
import os
import resource
from pathlib import Path

import cv2
import numpy as np

from hand.errors import UserError
from hand.files import part_of, take_place

FPS = 30.0
MAX_GAP_S = 10.0
"""A longer pause is cut to this length: a stalled camera must not fill the disk."""
RESERVE_BYTES = 512 * 1024
"""Room that a video must leave: FFmpeg writes 256 KiB at a time, the frame that fills them and the index come on top."""
_INDEX_BYTES = 64
"""Of the index, which is written last, a frame."""


class VideoFile:
    """Writes pictures at a constant frame rate: gaps repeat the last picture, a second one within a step is dropped.

    OpenCV does not say whether a frame reached the disk. So it is asked before each frame whether there is room for it, and the
    file is read back once it is finished. It is written beside its name, which it gets then: an MP4 without its index is none.
    """

    def __init__(self, path: Path, fps: float = FPS, *, overwrite: bool = False):
        """Nothing is written before the first picture, whose size is the video's."""
        self.frames = 0
        """Frames in the file."""
        self._place = path.resolve()
        self._part = part_of(self._place, ".mp4")
        self._fps = fps
        self._overwrite = overwrite
        self._writer: cv2.VideoWriter | None = None
        self._first_ns = 0
        self._step = -1
        self._last: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Length of what was written."""
        return self.frames / self._fps

    def due(self, captured_ns: int) -> bool:
        """Whether a picture of this time would be written; one of an earlier step would not."""
        return self._last is None or self._step_of(captured_ns) > self._step

    def write(self, image: np.ndarray, captured_ns: int) -> None:
        """Add `image` (H, W, 3) uint8 RGB if it is due.

        Raises OSError where there is no room for it, and UserError where OpenCV has no encoder.
        """
        if not self.due(captured_ns):
            return
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if self._writer is None or self._last is None:
            self._first_ns, self._step = captured_ns, 0
            self._writer = self._open(image.shape[1], image.shape[0])
        else:
            step = self._step_of(captured_ns)
            for _ in range(min(step - self._step - 1, int(MAX_GAP_S * self._fps))):
                self._add(self._writer, self._last)
            self._step = step
        self._add(self._writer, image)
        self._last = image

    def close(self) -> None:
        """Finish the file; without a frame there is none. Raises OSError where it does not hold what was written."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            if self.frames:
                readable = _frames_of(self._part)
                if readable != self.frames:
                    written, self.frames = self.frames, max(readable, 0)
                    raise OSError(errno.EIO, f"{self.frames} of {written} frames can be read back", str(self._place))
                take_place(self._part, self._place, overwrite=self._overwrite)
        finally:
            # What does not play is of no use.
            self._part.unlink(missing_ok=True)

    def _add(self, writer: cv2.VideoWriter, image: np.ndarray) -> None:
        _require_room(self._part, RESERVE_BYTES + _INDEX_BYTES * self.frames)
        writer.write(image)
        self.frames += 1

    def _step_of(self, captured_ns: int) -> int:
        return round((captured_ns - self._first_ns) * self._fps / 1e9)

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        self._place.parent.mkdir(parents=True, exist_ok=True)
        _require_room(self._part, RESERVE_BYTES)
        # The only MP4 codec whose encoder every build of opencv-python has.
        writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, (width, height))
        if not writer.isOpened():
            raise UserError(f"cannot write the video {self._place} at {width}x{height}: OpenCV has no encoder for it here")
        return writer


def _require_room(file: Path, needed_bytes: int) -> None:
    """Raises OSError where the disk, or the process's limit of a file's size, has less room than that."""
    disk = os.statvfs(file.parent)
    if disk.f_bavail * disk.f_frsize < needed_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
    limit_bytes = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit_bytes != resource.RLIM_INFINITY:
        written_bytes = file.stat().st_size if file.exists() else 0
        if limit_bytes - written_bytes < needed_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))


def _frames_of(file: Path) -> int:
    """As its index says; 0 where there is none."""
    video = cv2.VideoCapture(str(file))
    frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    return frames
