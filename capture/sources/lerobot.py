"""One camera of LeRobot's image server, over ZeroMQ, with the capture times that the server gives.

What it sends (huggingface/lerobot, `src/lerobot/cameras/zmq/image_server.py`): a PUB socket, each message one JSON text
`{"timestamps": {name: seconds}, "images": {name: base64 JPEG}}` of all cameras, at the server's rate. Seconds are `time.time()`
of the server, right after the camera was read. A camera that is slower than the server is sent again with the same time. Images
are RGB arrays that were encoded as if they were BGR, and LeRobot's own client (`camera_zmq.py`) decodes them the same way, which
undoes it; an unknown name gives it the first camera's image, which here is an error.
"""

import base64
import binascii
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import cv2
import msgspec
import numpy as np
import zmq

from capture.connection import Connection, ConnectionMonitor, why_silent
from capture.sources.base import CapturedImage, DeviceMode, Source, SourceSpec
from capture.sources.endpoint import check_endpoint, parse_options
from capture.views import View
from capture.wire import PAYLOAD_LIMIT, SIDE_LIMIT, jpeg_size
from hand.errors import UserError

FIRST_TIMEOUT_S = 10.0
"""How long the server may take for its first message."""
UNREACHABLE_S = 2.0
"""How long it may take until it listens at all."""
_POLL_MS = 50
SILENCE_S = 5.0
"""After which a server that has sent is gone."""
_ODD_S = 2.0
"""Times that differ from our wall clock's by more than this come from a clock that was not set by the same standard."""
_MAX_DAMAGED = 100
"""Damaged messages in a row after which the sender is no image server."""


class Message(msgspec.Struct, frozen=True):
    """What the server sends; other fields than these are let be."""

    timestamps: dict[str, float]
    images: dict[str, str]


class MessageError(ValueError):
    """A message that is not the server's; the sentence says what is wrong with it."""


_decoder = msgspec.json.Decoder(Message)


@dataclass(frozen=True, slots=True)
class LeRobot(SourceSpec):
    """`lerobot://host:port?camera=NAME`: one camera of LeRobot's image server."""

    physical: ClassVar[bool] = True

    endpoint: str
    """ZeroMQ address: tcp://host:port on loopback."""
    camera: str
    """Its name there."""

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "LeRobot":
        address, options = parse_options(text, "camera")
        try:
            # That server speaks no CURVE, so it stays on loopback whatever keys there are.
            endpoint = check_endpoint("tcp" + address.removeprefix("lerobot"))
        except UserError as error:
            raise UserError(f"source {text!r}: {error}") from error
        if not options.get("camera"):
            raise UserError(f"source {text!r} names no camera; give lerobot://host:port?camera=NAME, as the server calls it")
        return cls(endpoint, options["camera"])

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return LeRobotSource(self.endpoint, self.camera)


class LeRobotSource:
    """Yields one camera's frames. Its times are the server's wall clock, taken for this host's: on one host it is the same."""

    fov_deg = None
    note: str | None = None

    def __init__(self, endpoint: str, camera: str) -> None:
        """Raises UserError for a server that is silent, sends something else, or has no camera of that name."""
        self._endpoint = endpoint
        self._camera = camera
        self._context = zmq.Context()
        self._socket: zmq.Socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = 4
        self._socket.maxmsgsize = 2 * PAYLOAD_LIMIT
        self._socket.ipv6 = "[" in endpoint
        self._socket.subscribe(b"")
        self._connection = ConnectionMonitor(self._socket)
        try:
            self._socket.connect(endpoint)
            first = self._first()
            if camera not in first.images:
                known = ", ".join(sorted(first.images)) or "none at all"
                raise UserError(f"LeRobot's image server at {endpoint} has no camera {camera!r}; it has {known}")
            late_s = time.time() - first.timestamps.get(camera, time.time())
            if abs(late_s) > _ODD_S:
                self.note = (
                    f"camera {camera!r} of LeRobot's server stamps its frames {late_s:+.1f} s from this host's clock; "
                    f"set both by NTP, or take both views from that server"
                )
        except BaseException:
            self.close()
            raise

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        """`start_ns` is not used: the cameras have their own time. Raises UserError when the server stops."""
        seq, last_s, damaged = 0, None, 0
        while True:
            raw = self._receive(SILENCE_S)
            if raw is None:
                raise UserError(
                    f"LeRobot's image server at {self._endpoint} has been silent for {SILENCE_S:g} s; check that it runs"
                )
            try:
                message = read(raw)
                stamp_s = message.timestamps.get(self._camera)
                if stamp_s is None or self._camera not in message.images:
                    raise MessageError(f"it holds no camera {self._camera!r}")
                if stamp_s == last_s:
                    # The camera is slower than the server.
                    continue
                last_s, seq = stamp_s, seq + 1
                image = decode(message.images[self._camera])
            except MessageError as error:
                damaged += 1
                if damaged > _MAX_DAMAGED:
                    raise UserError(
                        f"LeRobot's image server at {self._endpoint} sends what is none of its messages: {error}"
                    ) from error
                continue
            damaged = 0
            yield CapturedImage(seq - 1, captured_ns(stamp_s, time.time_ns(), time.monotonic_ns()), image)

    def close(self) -> None:
        self._connection.close()
        self._socket.close()
        self._context.term()

    def _first(self) -> Message:
        started, connection = time.monotonic(), Connection.WAITING
        while not self._socket.poll(_POLL_MS):
            waited_s, connection = time.monotonic() - started, self._connection.connection
            if waited_s > FIRST_TIMEOUT_S or (connection is Connection.WAITING and waited_s > UNREACHABLE_S):
                why = why_silent(connection, self._endpoint, "LeRobot's image server")
                raise UserError(
                    f"no LeRobot image server answers at {self._endpoint} within {waited_s:.0f} s: {why} "
                    f"(its port is forwarded by ssh -L 5555:localhost:5555 robot)"
                )
        raw = self._receive(FIRST_TIMEOUT_S)
        assert raw is not None, "a message was there"
        try:
            return read(raw)
        except MessageError as error:
            raise UserError(f"what is sent at {self._endpoint} is not from LeRobot's image server: {error}") from error

    def _receive(self, timeout_s: float) -> bytes | None:
        """The newest message that waits, or the next."""
        if not self._socket.poll(round(timeout_s * 1000)):
            return None
        raw = b""
        try:
            while True:
                raw = b"".join(self._socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            return raw


def read(raw: bytes) -> Message:
    """The message in JSON text. Raises MessageError."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"a message that does not fit: {error}") from error


def decode(text: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image as the server encodes it. Raises MessageError."""
    try:
        jpeg = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"an image that is not base64: {error}") from error
    size = jpeg_size(jpeg[:65536])
    if size is None or max(size) > SIDE_LIMIT or min(size) < 1:
        raise MessageError(f"a JPEG of size {size}; sides of 1 to {SIDE_LIMIT} px are read")
    # Red and blue were exchanged by the encoder; the decoder's order, blue first, exchanges them back.
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise MessageError(f"a JPEG of {len(jpeg)} bytes that cannot be decoded")
    return image


def captured_ns(stamp_s: float, wall_ns: int, monotonic_ns: int) -> int:
    """A wall-clock time, seconds, on the monotonic clock, the two of which show these times at one moment."""
    return max(0, monotonic_ns - (wall_ns - round(stamp_s * 1e9)))
