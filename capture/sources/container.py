"""What a video file's container says of the file: how many bytes it should have, how long it lasts, when it was begun.

Read by hand, since OpenCV does not tell: ISO base media (MP4, MOV; ISO/IEC 14496-12, 4.2 and 8.2.2), Matroska (RFC 9559) and AVI
(RIFF).
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
"""Of times in MP4."""
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
"""Matroska's first two elements."""


@dataclass(frozen=True, slots=True)
class Container:
    """What the container's own headers say."""

    kind: Literal["mp4", "matroska", "avi", "other"] = "other"
    size_bytes: int | None = None
    """Length of the whole file; None where it does not say."""
    duration_s: float | None = None
    """Of its longest track, what an edit list cuts away left out; None where it does not say."""
    created_at: datetime | None = None
    """When it was begun, in whole seconds; None where it does not say."""


def read_container(path: Path) -> Container:
    """What the container of a file says, as far as it can be read; raises OSError for a file that cannot be opened."""
    with path.open("rb") as file:
        start = file.read(12)
        if start[4:8] in _FIRST_BOXES:
            return _read_mp4(file, path.stat().st_size)
        if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
            return Container("avi", 8 + struct.unpack("<I", start[4:8])[0])
        if start[:4] == _EBML.to_bytes(4, "big"):
            return Container("matroska", _matroska_size(file))
        return Container()


def _read_mp4(file: BinaryIO, end: int) -> Container:
    size_bytes, duration_s, created_at = 0, None, None
    at = 0
    while (box := _box(file, at, end)) is not None:
        kind, body, after = box
        if kind == b"moov":
            duration_s, created_at = _movie_header(file, body, min(after, end))
        at = size_bytes = after
    return Container("mp4", size_bytes or None, duration_s, created_at)


def _box(file: BinaryIO, at: int, end: int) -> tuple[bytes, int, int] | None:
    """Kind of the box at `at`, where its content begins, and where the next box does; None where there is none before `end`."""
    file.seek(at)
    head = file.read(16)
    if at + 8 > end or len(head) < 8 or not head[4:8].isascii():
        return None
    size, body = int.from_bytes(head[:4], "big"), at + 8
    if size == 1 and len(head) == 16:
        size, body = int.from_bytes(head[8:], "big"), at + 16
    elif size == 0:
        size = end - at
    return (head[4:8], body, at + size) if at + size >= body else None


def _movie_header(file: BinaryIO, at: int, end: int) -> tuple[float | None, datetime | None]:
    """Duration and creation time of the `mvhd` among the boxes from `at` to `end`."""
    while (box := _box(file, at, end)) is not None:
        kind, body, at = box
        if kind != b"mvhd":
            continue
        file.seek(body)
        long = file.read(4)[:1] == b"\x01"
        layout = struct.Struct(">QQIQ" if long else ">IIII")
        content = file.read(layout.size)
        if len(content) < layout.size:
            break
        created_s, _, timescale, duration = layout.unpack(content)
        unknown = duration in (0, 2**64 - 1 if long else 2**32 - 1)
        return None if unknown or timescale == 0 else duration / timescale, _time(created_s)
    return None, None


def _time(seconds: int) -> datetime | None:
    """A time of MP4; None for 0, which writers give that do not know it, and for what no clock shows."""
    return _EPOCH + timedelta(seconds=seconds) if 0 < seconds < 2**33 else None


def _matroska_size(file: BinaryIO) -> int | None:
    """End of the segment, which is the last element of a Matroska file; None where its writer could not know it."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, 1)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return None
    size = _vint(file)
    return None if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """An element's size (RFC 8794, 4); None for the one that means unknown, and at the file's end."""
    first = file.read(1)
    if not first or first == b"\x00":
        return None
    length = 9 - first[0].bit_length()
    bits = 7 * length
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
