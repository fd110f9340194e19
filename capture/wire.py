"""The wire format: one camera message as bytes and back. PROTOCOL.md specifies it for other programs.

A message has three parts: topic (the view's name), msgpack header, payload. Pickle is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import cv2
import msgspec
import numpy as np
from msgspec import Meta

from capture.frames import Frame
from capture.views import View

VERSION = 2
VERSIONS = (1, 2)
"""Versions that are read; the first has no `clock_port`."""
HEADER_LIMIT = 4096
"""Largest header, bytes."""
PAYLOAD_LIMIT = 64 * 2**20
"""Largest payload, bytes."""
SIDE_LIMIT = 8192
"""Largest width and height, px."""
JPEG_QUALITY = 90

Format = Literal["jpeg", "rgb8", "gray8"]
Part = bytes | memoryview

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Side = Annotated[int, Meta(ge=1, le=SIDE_LIMIT)]
_Fov = Annotated[float, Meta(gt=0, lt=180)]
T = TypeVar("T")


class WireError(ValueError):
    """A message that does not follow the wire format; the text says why."""


class ImageError(WireError):
    """A message whose payload is not the image that its header announces."""


class _Versioned(msgspec.Struct, frozen=True):
    """The one field that every version of the header has."""

    version: int


class FrameHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="frame"):
    """Header of an image."""

    version: int
    view: View
    seq: Count
    """Counts the camera's frames from 0, dropped ones included, so that a gap shows a loss."""
    captured_ns: Count
    """Capture time, the sender's monotonic clock."""
    width: _Side
    height: _Side
    format: Format
    fov_deg: _Fov | None = None
    """Horizontal field of view, where the sender knows it."""
    clock_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """TCP port at which the sender's host answers clock probes; None where its clock is the receiver's own."""


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="end"):
    """Header of the last message of a camera."""

    version: int
    view: View
    seq: Count
    """The number that the next frame would have had."""
    error: Annotated[str, Meta(max_length=500)] | None = None
    """One sentence where the camera failed; None where its frames came to an end."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A message with a valid header, whose image is not decoded yet."""

    header: FrameHeader | End
    payload: Part


_encoder = msgspec.msgpack.Encoder()
_version_decoder = msgspec.msgpack.Decoder(_Versioned)
_header_decoder = msgspec.msgpack.Decoder(FrameHeader | End)


def encode(
    view: View,
    seq: int,
    captured_ns: int,
    image: np.ndarray,
    format: Format = "rgb8",
    fov_deg: float | None = None,
    clock_port: int | None = None,
) -> list[bytes]:
    """The message of one image, (H, W, 3) uint8 RGB."""
    height, width = image.shape[:2]
    header = FrameHeader(VERSION, view, seq, captured_ns, width, height, format, fov_deg, clock_port)
    if format == "jpeg":
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        payload = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    elif format == "gray8":
        payload = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).tobytes()
    else:
        payload = image.tobytes()
    return [view.encode(), _encoder.encode(header), payload]


def encode_end(view: View, seq: int, error: str | None = None) -> list[bytes]:
    """The message that ends a view's stream; `seq` is the number that the next frame would have had."""
    return [view.encode(), _encoder.encode(End(VERSION, view, seq, error and error[:500])), b""]


def repack(header: FrameHeader | End, payload: bytes) -> list[bytes]:
    """The message of a header and a payload; fields of subclasses, which do not belong on the wire, are left out."""
    kind = FrameHeader if isinstance(header, FrameHeader) else End
    fields = {name: getattr(header, name) for name in kind.__struct_fields__}
    return [header.view.encode(), _encoder.encode(kind(**fields)), payload]


def unpack(parts: Sequence[Part]) -> Packet:
    """Validate a message except for its image, in a few microseconds.

    Raises WireError.
    """
    if len(parts) != 3:
        raise WireError(f"a message of {len(parts)} parts; expected 3: topic, header, payload")
    topic, raw_header, payload = parts
    if len(raw_header) > HEADER_LIMIT:
        raise WireError(f"a header of {len(raw_header)} bytes; at most {HEADER_LIMIT} are allowed")
    if len(payload) > PAYLOAD_LIMIT:
        raise WireError(f"a payload of {len(payload)} bytes; at most {PAYLOAD_LIMIT} are allowed")
    # The version is checked first: for another version, no other message would make sense.
    version = _decode(_version_decoder, raw_header).version
    if version not in VERSIONS:
        raise WireError(f"a header of version {version}; expected {' or '.join(map(str, VERSIONS))}: update the older side")
    header = _decode(_header_decoder, raw_header)
    if version == 1 and isinstance(header, FrameHeader) and header.clock_port is not None:
        raise WireError("a clock_port in a header of version 1; it came with version 2")
    # The topic is what was subscribed to; it is untrusted, so it is cut before it is shown.
    if bytes(topic) != header.view.encode():
        raise WireError(f"topic {bytes(topic[:20])!r} with view {header.view!r} in the header; they must be equal")
    if isinstance(header, FrameHeader) and header.format != "jpeg":
        expected = header.width * header.height * (3 if header.format == "rgb8" else 1)
        if len(payload) != expected:
            size = f"{header.width}×{header.height} {header.format}"
            raise WireError(f"a payload of {len(payload)} bytes; {size} takes {expected}")
    return Packet(header, payload)


def decode(packet: Packet, received_ns: int) -> Frame:
    """The frame in `packet`, whose header must be a FrameHeader; its image is read-only, and not copied from rgb8.

    Raises ImageError if the payload is not the image that the header announces.
    """
    header = packet.header
    assert isinstance(header, FrameHeader)
    data = np.frombuffer(packet.payload, np.uint8)
    if header.format == "jpeg":
        image = _decode_jpeg(data, header)
    elif header.format == "gray8":
        image = cv2.cvtColor(data.reshape(header.height, header.width), cv2.COLOR_GRAY2RGB)
    else:
        image = data.reshape(header.height, header.width, 3)
    image.flags.writeable = False
    return Frame(header.view, header.seq, header.captured_ns, received_ns, image, header.fov_deg)


def _decode(decoder: msgspec.msgpack.Decoder[T], raw: Part) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a header that does not follow the protocol: {error}") from error


def _decode_jpeg(data: np.ndarray, header: FrameHeader) -> np.ndarray:
    # The size is read before decoding, so that a small file cannot claim gigabytes of pixels.
    size = jpeg_size(data[:65536].tobytes())
    if size is None:
        beginning = f": it begins with {data[:4].tobytes().hex(' ')}" if len(data) else ""
        raise ImageError(f"a payload of {len(data)} bytes that is no JPEG{beginning}")
    if size != (header.width, header.height):
        raise ImageError(f"a JPEG of size {size} under a header that says {(header.width, header.height)}")
    try:
        # An orientation tag would turn the image away from the announced size and from the lens.
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"a JPEG that cannot be decoded: {error.err}") from error
    if image is None:
        # Cameras pad their JPEGs with zeros.
        whole = data[-65536:].tobytes().rstrip(b"\0").endswith(b"\xff\xd9")
        raise ImageError(f"a JPEG of {len(data)} bytes that {'is damaged' if whole else 'is cut off: it has no end (FF D9)'}")
    return image


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """(width, height) from the start-of-frame segment (ITU T.81, B.2.2); None if there is none."""
    if not jpeg.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return None
