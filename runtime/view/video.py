"""Video output: an MP4 file whose pictures are timed by their capture times."""

from pathlib import Path

import cv2
import numpy as np

from hand.errors import UserError

FPS = 30.0
MAX_GAP_S = 10.0
"""A longer pause is cut to this length: a stalled camera must not fill the disk."""


class VideoFile:
    """Writes pictures at a constant frame rate: gaps repeat the last picture, a second one within a step is dropped."""

    def __init__(self, path: Path, fps: float = FPS):
        """Nothing is written before the first picture, whose size is the video's.

        Raises UserError where the file cannot be written.
        """
        if path.suffix.lower() != ".mp4":
            raise UserError(f"cannot write the video {path}: its name must end in .mp4")
        try:
            path.open("ab").close()
        except OSError as error:
            raise UserError(
                f"cannot write the video {path}: {error.strerror}; give a file in a folder that you may write"
            ) from error
        self._path = path
        self._fps = fps
        self._writer: cv2.VideoWriter | None = None
        self._first_ns = 0
        self._step = -1
        self._last: np.ndarray | None = None

    def due(self, captured_ns: int) -> bool:
        """Whether a picture of this time would be written; one of an earlier step would not."""
        return self._last is None or self._step_of(captured_ns) > self._step

    def write(self, image: np.ndarray, captured_ns: int) -> None:
        """Add `image` (H, W, 3) uint8 RGB if it is due; raises UserError where the file cannot take it."""
        if not self.due(captured_ns):
            return
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if self._writer is None or self._last is None:
            self._first_ns, self._step = captured_ns, 0
            self._writer = self._open(image.shape[1], image.shape[0])
        else:
            step = self._step_of(captured_ns)
            for _ in range(min(step - self._step - 1, int(MAX_GAP_S * self._fps))):
                self._writer.write(self._last)
            self._step = step
        self._writer.write(image)
        self._last = image

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        elif self._last is None and self._path.stat().st_size == 0:
            # Nothing was written: an empty file is not a video.
            self._path.unlink()

    def _step_of(self, captured_ns: int) -> int:
        return round((captured_ns - self._first_ns) * self._fps / 1e9)

    def _open(self, width: int, height: int) -> cv2.VideoWriter:
        # The only MP4 codec whose encoder every build of opencv-python has.
        writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, (width, height))
        if not writer.isOpened():
            raise UserError(f"cannot write the video {self._path} at {width}x{height}: OpenCV has no encoder for it here")
        return writer
