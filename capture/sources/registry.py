"""The registry of camera sources: reads a SOURCE as the user writes it, and opens it."""

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from capture.clip_timing import ClipTiming
from capture.sources.base import DeviceMode, Source, SourceSpec
from capture.views import View
from hand.errors import UserError


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of camera: one entry here, and one module with its `SourceSpec`."""

    pattern: str
    """Regular expression of the texts that may be of this kind."""
    module: str
    """Imported once a text matches, so that its libraries are loaded only where the kind is used."""
    spec: str
    """Its `SourceSpec` in that module."""
    form: str = ""
    """How a user writes it; empty for sources of tests and benchmarks."""

    def parse(self, text: str, *, secured: bool) -> SourceSpec | None:
        """As `SourceSpec.parse`."""
        if not re.fullmatch(self.pattern, text, re.DOTALL):
            return None
        spec: type[SourceSpec] = getattr(import_module(self.module), self.spec)
        return spec.parse(text, secured=secured)


KINDS = (
    SourceKind(r"[0-9]+|/dev/.*", "capture.sources.device", "Device", "a camera number, /dev/videoN"),
    SourceKind(r".+\.mcap#(left|right)", "capture.sources.recorded", "RecordedCamera", "session.mcap#left or #right"),
    SourceKind(
        r"(?i:rtsps?|https?)://.*", "capture.sources.network_camera", "NetworkCamera", "rtsp://host/path, http://host:port/video"
    ),
    SourceKind(r"gst:.*", "capture.sources.gstreamer", "GStreamer", "gst:PIPELINE"),
    SourceKind(r"(?!lerobot:)[^?]*://.*", "capture.sources.feed", "Feed", "tcp://host:port, ipc://path"),
    SourceKind(r"lerobot://.*", "capture.sources.lerobot", "LeRobot", "lerobot://host:port?camera=NAME"),
    SourceKind(r"synthetic", "capture.sources.synthetic_source", "Synthetic", "synthetic"),
    SourceKind(r"pattern(\?.*)?", "capture.sources.pattern", "Pattern"),
    SourceKind(r".+", "capture.sources.image_sequence", "ImageSequence", "a folder of pictures, frames/%05d.png"),
    SourceKind(r".+", "capture.sources.video_file", "VideoFile", "a video file"),
)
"""The first that takes a text has it."""
*_FORMS, _LAST = filter(None, (kind.form for kind in KINDS))
FORMS = f"{', '.join(_FORMS)} or {_LAST}"


def parse_source(text: str, *, secured: bool = False) -> SourceSpec:
    """Read a SOURCE as a user writes it; `secured`: there are keys, so a feed may be on another host. Raises UserError."""
    for kind in KINDS:
        spec = kind.parse(text, secured=secured)
        if spec is not None:
            return spec
    if text and Path(text).exists():
        raise UserError(f"source {text!r} is not a file; give {FORMS}")
    raise UserError(f"source {text!r}: there is no such file; give {FORMS}")


def open_source(text: str, view: View, *, paced: bool, mode: DeviceMode, timing: ClipTiming | None = None) -> Source:
    """Open a SOURCE that this process captures itself (any but a feed).

    `paced`: a file or a recording plays at its own rate; else as fast as it is read. `timing`: of a clip. Raises UserError.
    """
    spec = parse_source(text)
    timed = spec.timed(timing) if timing else spec
    assert timed is not None, "what has a timing is a clip"
    return timed.open(view, paced=paced, mode=mode)
