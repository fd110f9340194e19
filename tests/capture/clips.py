"""Small real videos whose frames carry their number."""

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


def write_clip(path: Path, frames: int, fps: float = 30.0) -> Path:
    """A video of `frames` numbered images."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, SIZE_PX)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(numbered_image(number))
    writer.release()
    return path
