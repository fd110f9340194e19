"""Reading truncated, damaged or hostile recordings: what is intact is read, the rest is an error message."""

import struct
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.opcode import Opcode
from mcap.writer import Writer

from capture.recording.reader import Recording, WireMessage, read_metadata
from hand.errors import UserError
from tests.capture.recordings import write_recording

MAGIC = b"\x89MCAP0\r\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    return write_recording(tmp_path_factory.mktemp("whole") / "s.mcap", frames=20).read_bytes()


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> bytes:
    """A recording of several chunks."""
    return write_recording(tmp_path_factory.mktemp("many") / "s.mcap", frames=1500, format="rgb8").read_bytes()


def items_of(data: bytes, path: Path) -> tuple[list, str | None]:
    path.write_bytes(data)
    with Recording(path) as recording:
        return list(recording.items()), recording.broken


def place_in_chunk(data: bytes, near: int) -> int:
    """The middle of the chunk that begins nearest to `near`: its checksum covers that, while nobody reads an index's bytes."""
    place, chunks = len(MAGIC), []
    while place < len(data) - len(MAGIC):
        code, length = struct.unpack_from("<BQ", data, place)
        end = place + 9 + length
        if code == Opcode.CHUNK:
            chunks.append((abs(place - near), (place + end) // 2))
        place = end
    return min(chunks)[1]


def test_a_truncated_recording_is_read_up_to_the_truncation(many, tmp_path):
    items, broken = items_of(many, tmp_path / "s.mcap")
    assert broken is None
    counts = []
    for share in (0.2, 0.5, 0.8):
        part, broken = items_of(many[: int(share * len(many))], tmp_path / "s.mcap")
        assert part == items[: len(part)]
        assert broken and "breaks off after" in broken
        counts.append(len(part))
    assert 0 < counts[0] < counts[1] < counts[2]


def test_only_the_damaged_part_of_a_recording_is_lost(many, tmp_path):
    items, _ = items_of(many, tmp_path / "s.mcap")
    damaged = bytearray(many)
    place = place_in_chunk(many, len(many) // 2)
    # One other byte in a repetitive picture's compressed data may well decode to the same picture.
    damaged[place : place + 64] = (byte ^ 0xFF for byte in damaged[place : place + 64])
    part, broken = items_of(bytes(damaged), tmp_path / "s.mcap")
    assert broken and "damaged" in broken
    assert len(items) / 2 < len(part) < len(items)
    assert part[-1] == items[-1]


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_content_raises_only_user_errors(whole, tmp_path, data):
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        items_of(bytes(changed), tmp_path / "s.mcap")
    except UserError as error:
        assert "s.mcap is" in str(error)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no recording"),
        (b"not a recording at all", "no recording"),
        (MAGIC, "no recording"),
        (MAGIC + b"\x01" + struct.pack("<Q", 2**60), "no recording"),
    ],
)
def test_a_file_that_is_not_a_recording_is_an_error_that_says_so(tmp_path, data, says):
    (tmp_path / "s.mcap").write_bytes(data)
    with pytest.raises(UserError, match=says):
        Recording(tmp_path / "s.mcap")
    with pytest.raises(UserError, match="cannot read"):
        Recording(tmp_path)


def test_a_recording_of_another_program_is_refused(tmp_path):
    with (tmp_path / "s.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        writer.finish()
    with pytest.raises(UserError, match="another program"):
        Recording(tmp_path / "s.mcap")


def test_a_small_file_cannot_allocate_much_memory(whole, tmp_path):
    head = whole[: whole.index(b"\x0c", 60)]
    bomb = lz4.frame.compress(bytes(300 * 2**20))
    for size in (300 * 2**20, 1000):
        body = struct.pack("<QQQI", 0, 0, size, 0) + struct.pack("<I", 3) + b"lz4" + struct.pack("<Q", len(bomb)) + bomb
        chunk = b"\x06" + struct.pack("<Q", len(body)) + body
        items, broken = items_of(whole[:8] + header(whole) + chunk, tmp_path / "s.mcap")
        assert not [item for item in items if isinstance(item, WireMessage)]
        assert broken
    assert head


def header(whole: bytes) -> bytes:
    """The first record."""
    (length,) = struct.unpack("<Q", whole[9:17])
    return whole[8 : 17 + length]


def test_metadata_is_read_or_empty(whole, tmp_path):
    (tmp_path / "s.mcap").write_bytes(whole)
    assert read_metadata(tmp_path / "s.mcap", "duohand.clock")["epoch_ns"].isdigit()
    assert read_metadata(tmp_path / "s.mcap", "other") == {}
