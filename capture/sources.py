"""What a camera can be: the SOURCE that a user writes, and the object that yields its frames."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import numpy as np

from capture.views import View
from hand.errors import UserError

FORMS = "a camera number, /dev/videoN, a video file, session.mcap#left or #right, tcp://host:port, ipc://path or synthetic"


@dataclass(frozen=True, slots=True)
class Device:
    """A camera of this host."""

    path: str
    """Such as /dev/video0."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A recorded video."""

    path: Path


@dataclass(frozen=True, slots=True)
class RecordedCamera:
    """One camera of what `--record` wrote."""

    path: Path
    view: View


@dataclass(frozen=True, slots=True)
class Feed:
    """Another program, such as a headset's, that publishes in the wire format."""

    endpoint: str
    """ZeroMQ address: ipc://path, or tcp://host:port on loopback."""


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A drawn hand in front of a camera that does not exist."""


Spec = Device | VideoFile | RecordedCamera | Feed | Synthetic


@dataclass(frozen=True, slots=True)
class DeviceMode:
    """What a device is asked for; it may give something else."""

    width: int = 640
    height: int = 480
    fps: float = 30.0


DEFAULT_MODE = DeviceMode()


class Shot(NamedTuple):
    """One image as its source yields it."""

    seq: int
    captured_ns: int
    """Monotonic clock of this host."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""


class Source(Protocol):
    """An open camera."""

    @property
    def fov_deg(self) -> float | None:
        """Horizontal field of view, where the source knows it."""
        ...

    @property
    def note(self) -> str | None:
        """One sentence for the user, such as a mode that the camera refused."""
        ...

    def frames(self, start_ns: int) -> Iterator[Shot]:
        """Yield the images until they end; `start_ns` is when a source that makes its own time begins.

        Raises UserError when the camera fails.
        """
        ...

    def close(self) -> None: ...


def parse_source(text: str) -> Spec:
    """Read a SOURCE as a user writes it. Raises UserError."""
    if text == "synthetic":
        return Synthetic()
    if text.isascii() and text.isdigit():
        return Device(f"/dev/video{int(text)}")
    if text.startswith("/dev/"):
        return Device(text)
    if "://" in text:
        return Feed(check_endpoint(text))
    path = Path(text)
    recorded = re.fullmatch(r"(.+\.mcap)#(left|right)", text)
    if recorded and not path.exists():
        path = Path(recorded[1])
    if not text or not path.exists():
        raise UserError(f"source {text!r}: there is no such file; give {FORMS}")
    if not path.is_file():
        raise UserError(f"source {text!r} is not a file; give {FORMS}")
    if recorded and path == Path(recorded[1]):
        return RecordedCamera(path, "left" if recorded[2] == "left" else "right")
    if path.suffix == ".mcap":
        raise UserError(f"source {text!r} is a recording of two cameras: give {text}#left or {text}#right, or --replay {text}")
    return VideoFile(path)


def check_endpoint(endpoint: str) -> str:
    """The ZeroMQ address itself, if plain text may travel there: ipc, or tcp on loopback. Raises UserError."""
    scheme, _, rest = endpoint.partition("://")
    if scheme == "ipc" and rest:
        return endpoint
    if scheme != "tcp":
        raise UserError(f"address {endpoint!r} is not known; give tcp://host:port or ipc://path")
    # A ZeroMQ address is a host and a port, nothing else; urlsplit alone would let users, paths and queries pass.
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@]+):(\d{1,5})", rest)
    if match is None or not 0 < int(match[1]) < 65536:
        raise UserError(f"address {endpoint!r} is not of the form tcp://host:port with a port from 1 to 65535")
    host = urlsplit(endpoint).hostname or ""
    if not _is_loopback(host):
        raise UserError(
            f"address {endpoint!r} leaves this host, and frames travel as plain text; forward the port instead "
            f"(ssh -L {match[1]}:localhost:{match[1]} or adb forward) and give tcp://127.0.0.1:{match[1]}"
        )
    return endpoint


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_source(text: str, view: View, *, paced: bool, mode: DeviceMode) -> Source:
    """Open a SOURCE that this process captures itself (any but a Feed).

    `paced`: a file or a recording plays at its own rate; else as fast as it is read. Raises UserError.
    """
    match parse_source(text):
        case Device(path):
            from capture.device import DeviceSource

            return DeviceSource(path, mode)
        case VideoFile(path):
            from capture.file import FileSource

            return FileSource(path, paced=paced)
        case RecordedCamera(path, recorded):
            from capture.recorded_source import RecordedSource

            return RecordedSource(path, recorded, paced=paced)
        case Synthetic():
            return _SyntheticSource(view, paced=paced)
        case Feed(endpoint):
            raise UserError(f"source {endpoint!r} is a feed already; give a camera, a video file or synthetic")


class _SyntheticSource:
    """The synthetic camera; its loop is drawn on opening, which takes some seconds."""

    note = None

    def __init__(self, view: View, *, paced: bool) -> None:
        from capture.synthetic import SyntheticSource

        self._camera = SyntheticSource(view)
        self._paced = paced
        self.fov_deg: float | None = SyntheticSource.fov_deg

    def frames(self, start_ns: int) -> Iterator[Shot]:
        for shot in self._camera.frames(start_ns, paced=self._paced):
            yield Shot(*shot)

    def close(self) -> None:
        pass
