"""Small real videos whose frames carry their number."""

import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

BITS = 8
SIZE_PX = (BITS * 8, 48)
"""(width, height)."""


def numbered_image(number: int) -> np.ndarray:
    """(48, 64, 3) uint8 RGB: the number as eight black or white bars, which survive lossy coding."""
    bits = (number >> np.arange(BITS)) & 1
    row = np.repeat(bits.astype(np.uint8) * 255, SIZE_PX[0] // BITS)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (SIZE_PX[1], SIZE_PX[0], 3)))


def read_number(image: np.ndarray) -> int:
    """The number in an image made by `numbered_image`."""
    bars = image.mean(axis=(0, 2)).reshape(BITS, -1).mean(axis=1)
    return int(((bars > 127) << np.arange(BITS)).sum())


def write_clip(path: Path, frames: int, fps: float = 30.0, *, negative: bool = False) -> Path:
    """A video of `frames` numbered images, in the container that its suffix names.

    `negative`: of another camera, whose bars are black where those are white.
    """
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, fps, SIZE_PX)
    assert writer.isOpened()
    for number in range(frames):
        image = numbered_image(number)
        writer.write(255 - image if negative else image)
    writer.release()
    return path


def with_moov_first(path: Path) -> Path:
    """The same MP4 with its index before its frames, as cameras and phones that stream write it."""
    boxes = dict(_boxes(path.read_bytes()))
    # The frames move back by the index' length, and the index says where they are.
    index = bytearray(boxes.pop(b"moov"))
    at = index.index(b"stco") + 8
    for entry in range(struct.unpack_from(">I", index, at)[0]):
        place = at + 4 + 4 * entry
        struct.pack_into(">I", index, place, struct.unpack_from(">I", index, place)[0] + len(index))
    path.write_bytes(boxes.pop(b"ftyp") + index + b"".join(boxes.values()))
    return path


def with_pixel_aspect(path: Path, width: int, height: int) -> Path:
    """The same MP4 with pixels that are `width`:`height` wide."""
    data = bytearray(path.read_bytes())
    aspect = struct.pack(">I4sII", 16, b"pasp", width, height)
    entry = data.index(b"mp4v", data.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", data, entry)[0]
    data[end:end] = aspect
    # All boxes around it grow; the frames stand before them.
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
        _add(data, data.index(kind, data.index(b"moov")) - 4, len(aspect))
    _add(data, entry, len(aspect))
    path.write_bytes(data)
    return path


def with_quarter_turn(path: Path) -> Path:
    """The same MP4, to be shown turned clockwise by 90 degrees (its track's matrix says so)."""
    data = bytearray(path.read_bytes())
    # Its header: 4 bytes of version and flags, 20 of times and number, 16 of layer and volume, then the matrix (8.3.2).
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def created_at(path: Path, seconds: int) -> Path:
    """The same MP4, begun so many seconds after 1904."""
    data = bytearray(path.read_bytes())
    struct.pack_into(">I", data, data.index(b"mvhd") + 8, seconds)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """A copy of a file that broke off after a share of its bytes."""
    whole = path.read_bytes()
    part = path.with_stem(f"{path.stem}_cut")
    part.write_bytes(whole[: int(share * len(whole))])
    return part


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each outermost box of an MP4."""
    at = 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield data[at + 4 : at + 8], data[at : at + size]
        at += size


def _add(data: bytearray, at: int, number: int) -> None:
    struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + number)
