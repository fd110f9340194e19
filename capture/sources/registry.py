"""What a camera can be: the SOURCE that a user writes, and the object that yields its frames."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from capture.sources.base import DeviceMode, Shot, Source
from capture.views import View
from hand.errors import UserError

FORMS = (
    "a camera number, /dev/videoN, a video file, session.mcap#left or #right, tcp://host:port, ipc://path, "
    "lerobot://host:port?camera=NAME or synthetic"
)


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
    """ZeroMQ address: ipc://path, or tcp://host:port."""
    key: str | None = None
    """Whose key it has, where keys are used; None for the only one that is known."""


@dataclass(frozen=True, slots=True)
class LeRobot:
    """One camera of LeRobot's image server."""

    endpoint: str
    """ZeroMQ address: tcp://host:port on loopback."""
    camera: str
    """Its name there."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Pictures of their own number, as cheap as can be: for tests and timings of everything but the hand."""

    width: int = 640
    height: int = 480
    fps: float = 60.0


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A drawn hand in front of a camera that does not exist."""


Spec = Device | VideoFile | RecordedCamera | Feed | LeRobot | Synthetic | Pattern


def parse_source(text: str, *, secured: bool = False) -> Spec:
    """Read a SOURCE as a user writes it; `secured`: there are keys, so a feed may be on another host. Raises UserError."""
    if text == "synthetic":
        return Synthetic()
    if text.partition("?")[0] == "pattern":
        return _parse_pattern(text)
    if text.isascii() and text.isdigit():
        return Device(f"/dev/video{int(text)}")
    if text.startswith("/dev/"):
        return Device(text)
    if text.startswith("lerobot://"):
        return _parse_lerobot(text)
    if "://" in text:
        endpoint, options = _options(text, "key")
        return Feed(check_endpoint(endpoint, secured=secured), options.get("key"))
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


def _parse_lerobot(text: str) -> LeRobot:
    address, options = _options(text, "camera")
    try:
        # That server speaks no CURVE, so it stays on loopback whatever keys there are.
        endpoint = check_endpoint("tcp" + address.removeprefix("lerobot"))
    except UserError as error:
        raise UserError(f"source {text!r}: {error}") from error
    if not options.get("camera"):
        raise UserError(f"source {text!r} names no camera; give lerobot://host:port?camera=NAME, as the server calls it")
    return LeRobot(endpoint, options["camera"])


def _parse_pattern(text: str) -> Pattern:
    _, options = _options(text, "size", "rate")
    size = re.fullmatch(r"(\d{2,4})x(\d{2,4})", options.get("size", "640x480"))
    rate = re.fullmatch(r"\d{1,4}(\.\d+)?", options.get("rate", "60"))
    if size is None or rate is None or min(int(size[1]), int(size[2])) < 64:
        raise UserError(f"source {text!r} is not of the form pattern?size=640x480&rate=60, with sides of 64 to 9999 px")
    return Pattern(int(size[1]), int(size[2]), float(rate[0]))


def _options(text: str, *known: str) -> tuple[str, dict[str, str]]:
    """What stands before the first `?`, and the options behind it. Raises UserError for one that is not known."""
    address, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise UserError(f"source {text!r}: the option {name!r} is not known; expected {' or '.join(known)}")
    return address, options


def check_endpoint(endpoint: str, *, secured: bool = False) -> str:
    """The ZeroMQ address itself, if it may be used: ipc, tcp on loopback, or, `secured` by keys, any tcp. Raises UserError."""
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
    if not secured and not _is_loopback(host):
        raise UserError(
            f"address {endpoint!r} leaves this host, and frames travel as plain text; make keys (python -m tools.keys keys) "
            f"and give --keys keys, or forward the port (ssh -L {match[1]}:localhost:{match[1]}) and give tcp://127.0.0.1:{match[1]}"
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
            from capture.sources.device import DeviceSource

            return DeviceSource(path, mode)
        case VideoFile(path):
            from capture.sources.video_file import FileSource

            return FileSource(path, paced=paced)
        case RecordedCamera(path, recorded):
            from capture.sources.recorded import RecordedSource

            return RecordedSource(path, recorded, paced=paced)
        case Synthetic():
            return _SyntheticSource(view, paced=paced)
        case Pattern(width, height, fps):
            from capture.sources.pattern import PatternSource

            return PatternSource(width, height, fps, paced=paced)
        case LeRobot(endpoint, camera):
            from capture.sources.lerobot import LeRobotSource

            return LeRobotSource(endpoint, camera)
        case Feed(endpoint):
            raise UserError(f"source {endpoint!r} is a feed already; give a camera, a video file or synthetic")


class _SyntheticSource:
    """The synthetic camera; its loop is drawn on opening, which takes some seconds."""

    note = None

    def __init__(self, view: View, *, paced: bool) -> None:
        from capture.sources.synthetic import SyntheticSource

        self._camera = SyntheticSource(view)
        self._paced = paced
        self.fov_deg: float | None = SyntheticSource.fov_deg

    def frames(self, start_ns: int) -> Iterator[Shot]:
        for shot in self._camera.frames(start_ns, paced=self._paced):
            yield Shot(*shot)

    def close(self) -> None:
        pass
