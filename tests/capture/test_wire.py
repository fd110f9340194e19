"""The wire format: messages round-trip, malformed ones are refused, and PROTOCOL.md shows the exact bytes."""

import re
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import capture
from capture import wire
from capture.transport.probing import PROBE_VERSION, Answer, Ask

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
GOOD = wire.encode("left", 7, 1000, IMAGE)


def header_with(**changes: object) -> bytes:
    fields = msgspec.msgpack.decode(GOOD[1])
    return msgspec.msgpack.encode({key: value for key, value in (fields | changes).items() if value is not ...})


def example(name: str) -> list[bytes]:
    """The parts of one example in PROTOCOL.md."""
    text = (Path(capture.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
    match = re.search(rf"```hex {name}\n(.*?)```", text, re.DOTALL)
    assert match
    return [bytes.fromhex(line) for line in match[1].splitlines()]


@pytest.mark.parametrize("fov_deg", [None, 75.5])
def test_rgb8_round_trips_exactly_and_is_read_only(fov_deg):
    frame = wire.decode(wire.unpack(wire.encode("right", 3, 99, IMAGE, fov_deg=fov_deg)), received_ns=120)
    assert (frame.view, frame.seq, frame.captured_ns, frame.received_ns) == ("right", 3, 99, 120)
    assert frame.fov_deg == fov_deg
    np.testing.assert_array_equal(frame.image, IMAGE)
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0, 0] = 1


def test_gray8_is_decoded_to_equal_channels():
    frame = wire.decode(wire.unpack(wire.encode("left", 0, 0, IMAGE, "gray8")), 0)
    np.testing.assert_array_equal(frame.image, cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, -1))
    assert not frame.image.flags.writeable


def test_jpeg_keeps_the_order_of_channels():
    red = np.broadcast_to(np.array([200, 30, 10], np.uint8), (32, 32, 3)).copy()
    frame = wire.decode(wire.unpack(wire.encode("left", 0, 0, red, "jpeg")), 0)
    assert np.abs(frame.image.astype(int) - red).max() < 8
    assert not frame.image.flags.writeable


def test_grey_jpeg_is_decoded_to_rgb():
    payload = cv2.imencode(".jpg", IMAGE[..., 0])[1].tobytes()
    frame = wire.decode(wire.unpack([b"left", header_with(format="jpeg"), payload]), 0)
    assert frame.image.shape == IMAGE.shape


def test_an_exif_orientation_tag_is_ignored():
    plain = wire.encode("left", 0, 0, IMAGE, "jpeg")
    # EXIF (big-endian TIFF, one entry: orientation 6, a quarter turn) right after the start-of-image marker.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (8 + len(tiff)).to_bytes(2, "big") + b"Exif\0\0" + tiff
    tagged = [plain[0], plain[1], plain[2][:2] + exif + plain[2][2:]]
    np.testing.assert_array_equal(wire.decode(wire.unpack(tagged), 0).image, wire.decode(wire.unpack(plain), 0).image)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (header_with(version=3), "version 3; expected 1 or 2"),
        (header_with(version=1, clock_port=5), "came with version 2"),
        (header_with(clock_port=0), "clock_port"),
        (header_with(clock_port=70000), "clock_port"),
        (header_with(seq=7.0), "seq"),
        (header_with(seq="7"), "seq"),
        (header_with(seq=True), "seq"),
        (header_with(captured_ns=-1), "captured_ns"),
        (header_with(captured_ns=2**63), "captured_ns"),
        (header_with(width=8193), "width"),
        (header_with(height=0), "height"),
        (header_with(format="png"), "format"),
        (header_with(fov_deg=180.0), "fov_deg"),
        (header_with(fov_deg=float("nan")), "fov_deg"),
        (header_with(extra=1), "extra"),
        (header_with(seq=...), "seq"),
        (header_with(kind="other"), "kind"),
        (header_with(view="right"), "topic"),
        (header_with(width=21), "21×12 rgb8 takes 756"),
        (b"", "header"),
        (b"\xc1", "header"),
        (b"\x80\x04N.", "header"),
        (bytes(5000), "5000 bytes"),
        (b"\x81\xa1x" + b"\x91" * 4000 + b"\xc0", "protocol"),
    ],
)
def test_a_bad_header_is_refused_with_the_name_of_the_field(header, complaint):
    with pytest.raises(wire.WireError, match=re.escape(complaint)):
        wire.unpack([b"left", header, GOOD[2]])


@pytest.mark.parametrize("parts", [[], [b"left"], GOOD[:2], [*GOOD, b""]])
def test_a_message_has_three_parts(parts):
    with pytest.raises(wire.WireError, match="parts"):
        wire.unpack(parts)


def test_an_oversized_payload_is_refused_before_decoding():
    with pytest.raises(wire.WireError, match="payload of"):
        wire.unpack([*GOOD[:2], memoryview(bytearray(wire.PAYLOAD_LIMIT + 1))])


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xd8", b"not a jpeg", bytes(100), b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x0c\x00\x14\x01"]
)
def test_a_payload_that_is_not_jpeg_is_refused(payload):
    with pytest.raises(wire.WireError, match="JPEG"):
        wire.decode(wire.unpack([b"left", header_with(format="jpeg"), payload]), 0)


def test_a_jpeg_that_contradicts_its_header_is_refused():
    message = wire.encode("left", 0, 0, IMAGE, "jpeg")
    with pytest.raises(wire.WireError, match=r"\(20, 12\) under a header that says \(20, 13\)"):
        wire.decode(wire.unpack([b"left", header_with(format="jpeg", height=13), message[2]]), 0)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_random_bytes_raise_only_wire_errors(parts):
    with pytest.raises(wire.WireError):
        wire.unpack(parts)


@given(st.integers(0, len(GOOD[1]) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_frame_or_a_wire_error(position, value):
    header = bytearray(GOOD[1])
    header[position] = value
    try:
        packet = wire.unpack([GOOD[0], bytes(header), GOOD[2]])
    except wire.WireError:
        return
    assert isinstance(packet.header, wire.FrameHeader)
    assert wire.decode(packet, 0).image.size == IMAGE.size


def test_an_end_message_keeps_its_reason_and_truncates_a_long_one():
    end = wire.unpack(wire.encode_end("left", 12, "é" * 1000)).header
    assert isinstance(end, wire.End)
    assert (end.seq, end.error) == (12, "é" * 500)
    assert wire.unpack(wire.encode_end("left", 12)).header == wire.End(wire.VERSION, "left", 12, None)


def test_protocol_page_shows_the_exact_bytes():
    image = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    assert example("frame") == wire.encode("left", 7, 123456789, image, "rgb8", 60.0)
    assert [*example("end"), b""] == wire.encode_end("right", 300, "unplugged")
    assert example("probe") == [msgspec.msgpack.encode(Ask(PROBE_VERSION, 7))]
    assert example("clock") == [msgspec.msgpack.encode(Answer(PROBE_VERSION, 7, 123456789))]


def test_version_1_messages_are_still_read():
    image = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    topic, header, payload = wire.encode("left", 7, 123456789, image, "rgb8", 60.0)
    first = msgspec.msgpack.encode(msgspec.msgpack.decode(header) | {"version": 1})
    assert wire.decode(wire.unpack([topic, first, payload]), 0).captured_ns == 123456789
