"""One camera of a recording as a source, `session.mcap#left`, with the recorded frame numbers and times."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np

from capture import wire
from capture.recording.reader import Recording
from capture.recording.writer import RecordedFrame
from capture.sources.base import DEFAULT_MODE, CapturedImage, DeviceMode, Source, SourceSpec
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

_SKIP_LIMIT = 5
"""Frames left out in a row to catch up."""
_FIRST = 8
"""Frames of both views among which the first one is."""


@dataclass(frozen=True, slots=True)
class RecordedCamera(SourceSpec):
    """`session.mcap#left`: one camera of what `--record` wrote."""

    lasting: ClassVar[bool] = False

    path: Path
    view: View

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "RecordedCamera | None":
        path, _, view = text.rpartition("#")
        if Path(text).exists() or not Path(path).is_file():
            return None
        return cls(Path(path), "left" if view == "left" else "right")

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        RecordedSource(self.path, self.view, paced=False).close()
        return ()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return RecordedSource(self.path, self.view, paced=paced)


class RecordedSource:
    """Yields a recorded camera's frames, all of them, timed from the recording's begin, which both views share.

    Paced, a frame comes when it is due, and one that is overdue is left out; unpaced, all come as fast as they are read.
    """

    note = None

    def __init__(self, path: Path, view: View, *, paced: bool) -> None:
        """Raises UserError for a file that is no recording, or has no frame of this view."""
        self._path, self._view, self._paced = path, view, paced
        first = next((header for header, _ in self._frames()), None)
        if first is None:
            raise UserError(f"the recording {path} holds no frame of the {view} camera; see python -m tools.session info {path}")
        self.fov_deg = first.fov_deg
        self._first_ns = _first_ns(path)

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        skipped, last_ns = 0, 0
        for header, parts in self._frames():
            media_ns = header.captured_ns + header.offset_ns - self._first_ns
            due_ns = start_ns + media_ns
            overdue = time.monotonic_ns() > due_ns + max(media_ns - last_ns, 0)
            last_ns = media_ns
            if self._paced and overdue and skipped < _SKIP_LIMIT:
                skipped += 1
                continue
            skipped = 0
            image = _image(parts)
            # A damaged image is a lost frame, which the gap in seq shows.
            if image is None:
                continue
            if self._paced:
                time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            yield CapturedImage(header.seq, due_ns, image)

    def close(self) -> None:
        pass

    def _frames(self) -> Iterator[tuple[RecordedFrame, list[bytes]]]:
        with Recording(self._path) as recording:
            for message in recording.wire_messages():
                if message.view == self._view and isinstance(message.header, RecordedFrame):
                    yield message.header, message.parts


def recorded_size(path: Path, view: View) -> tuple[int, int]:
    """Width and height of a recorded camera's frames, px. Raises UserError where there are none."""
    with Recording(path) as recording:
        for message in recording.wire_messages():
            if message.view == view and isinstance(message.header, RecordedFrame):
                return message.header.width, message.header.height
    raise UserError(f"the recording {path} holds no frame of the {view} camera; see python -m tools.session info {path}")


def _image(parts: list[bytes]) -> np.ndarray | None:
    try:
        return wire.decode(wire.unpack(parts), 0).image
    except wire.WireError:
        return None


def _first_ns(path: Path) -> int:
    """When the earliest of the first few frames was captured: the same for both views."""
    with Recording(path) as recording:
        headers = (message.header for message in recording.wire_messages())
        frames = (frame for frame in headers if isinstance(frame, RecordedFrame))
        return min(frame.captured_ns + frame.offset_ns for frame in islice(frames, _FIRST))
