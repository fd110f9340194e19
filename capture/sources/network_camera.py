"""A camera of the network: an RTSP stream, or MJPEG over HTTP as phones send it."""

import base64
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import unquote, urlsplit, urlunsplit

from capture.masking import masked
from capture.sources.base import DEFAULT_MODE, DeviceMode, Source, SourceSpec
from capture.views import View
from hand.errors import UserError
from hand.findings import Finding

TIMEOUT_S = 5.0
"""For a camera to answer when it is opened, and between two frames."""
_CHECK_S = 0.7
"""For a connection at the start: longer, and the camera is awaited when it is opened."""
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
"""Of FFmpeg: lost packets of UDP damage pictures; nothing is held back for smooth play."""
EXAMPLES = "rtsp://USER:PASSWORD@HOST:554/PATH or http://HOST:8080/video"


@dataclass(frozen=True, slots=True)
class NetworkCamera(SourceSpec):
    """`rtsp://host/path`, `http://host:port/video`."""

    physical: ClassVar[bool] = True

    url: str = field(repr=False)
    """With user and password, where it has them."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "NetworkCamera":
        parts = urlsplit(text)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if not parts.hostname or port == 0:
            raise UserError(f"source {masked(text)!r} names no host and port: expected such as {EXAMPLES}")
        return cls(text)

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        import cv2

        from capture.sources.live_capture import LiveCaptureSource

        timeout_ms = round(TIMEOUT_S * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
        with _ffmpeg_options():
            capture = cv2.VideoCapture(self.url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise UserError(_why_closed(self.url))
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if frames > 0:
            capture.release()
            raise UserError(
                f"camera {masked(self.url)} is a clip of {frames:.0f} frames, no live stream; download it and give the file"
            )
        return LiveCaptureSource(f"camera {masked(self.url)}", capture)

    def check(self, mode: DeviceMode = DEFAULT_MODE) -> tuple[Finding, ...]:
        from capture.sources.live_capture import stamped_on_arrival

        try:
            _connect(self.url, _CHECK_S)
        except TimeoutError:
            # It may only be slow; opening it tells.
            pass
        except OSError as error:
            raise UserError(_unreachable(self.url, error)) from error
        return (stamped_on_arrival(f"camera {masked(self.url)}"),)

    @property
    def name(self) -> str:
        return masked(self.url)


@contextmanager
def _ffmpeg_options() -> Iterator[None]:
    """The environment is OpenCV's only way to FFmpeg's options; files that are opened later lose frames by these."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = _OPTIONS if before is None else before
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]


def _connect(url: str, timeout_s: float) -> None:
    """Connect to its port and part again. Raises OSError."""
    parts = urlsplit(url)
    assert parts.hostname, url
    socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme.casefold()]), timeout_s).close()


def _unreachable(url: str, error: OSError) -> str:
    parts = urlsplit(url)
    what = (error.strerror or str(error) or type(error).__name__).removesuffix(".")
    return (
        f"camera {masked(url)} cannot be reached ({what[:1].lower()}{what[1:]}): expected a stream on port "
        f"{parts.port or _PORTS[parts.scheme.casefold()]} of {parts.hostname}; start it there, in the same network"
    )


def _why_closed(url: str) -> str:
    """Why a stream did not open, and what to do: OpenCV only reports that it did not."""
    try:
        _connect(url, TIMEOUT_S)
        if urlsplit(url).scheme.casefold().startswith("http"):
            return _why_no_stream(url)
    except OSError as error:
        return _unreachable(url, error)
    return (
        f"camera {masked(url)} answers and gives no stream that can be read: expected H.264, H.265 or MJPEG; check its path, "
        "user and password, and that it plays elsewhere"
    )


def _why_no_stream(url: str) -> str:
    """What an HTTP camera answers instead of a stream. Raises OSError where it does not."""
    request = urllib.request.Request(_without_user(url))
    parts = urlsplit(url)
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            kind = answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        advice = {
            401: "it asks for a user and a password; give them, http://USER:PASSWORD@HOST:PORT/PATH",
            403: "it refuses this host, user or password",
            404: "it has no such path; its app or manual names it, for many phones /video",
        }
        return f"camera {masked(url)} answers {error.code} {error.reason}: {advice.get(error.code, 'look into its log')}"
    except ValueError as error:
        return f"camera {masked(url)} gives no HTTP that can be read ({error}); check its port"
    if kind == "multipart/x-mixed-replace":
        return f"camera {masked(url)} sends pictures that cannot be read: expected JPEG; check that it plays in a browser"
    return (
        f"camera {masked(url)} gives {kind}, which is no stream that can be read: expected multipart/x-mixed-replace (MJPEG); "
        "where that is a page to look at, its stream has another path, for many phones /video"
    )


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
