"""A test camera whose images show their own number: for tests and timings without a hand."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from capture.sources.base import CapturedImage, DeviceMode, Source, SourceSpec
from capture.sources.endpoint import parse_options
from capture.views import View
from hand.errors import UserError

BITS = 32
"""Of the number that is shown; larger ones begin anew."""
_BAR_PX = 2
_ROWS = 16
"""The bars fill the picture's first rows."""


@dataclass(frozen=True, slots=True)
class Pattern(SourceSpec):
    """`pattern?size=640x480&rate=60`."""

    width: int = 640
    height: int = 480
    fps: float = 60.0

    @classmethod
    def parse(cls, text: str, *, secured: bool) -> "Pattern":
        _, options = parse_options(text, "size", "rate")
        size = re.fullmatch(r"(\d{2,4})x(\d{2,4})", options.get("size", "640x480"))
        rate = re.fullmatch(r"\d{1,4}(\.\d+)?", options.get("rate", "60"))
        if size is None or rate is None or min(int(size[1]), int(size[2])) < 64:
            raise UserError(f"source {text!r} is not of the form pattern?size=640x480&rate=60, with sides of 64 to 9999 px")
        return cls(int(size[1]), int(size[2]), float(rate[0]))

    def open(self, view: View, *, paced: bool, mode: DeviceMode) -> Source:
        return PatternSource(self.width, self.height, self.fps, paced=paced)


class PatternSource:
    """Pictures whose number counts the periods of the host's clock, so that two such cameras show the same one at once."""

    fov_deg = None
    note = None

    def __init__(self, width: int, height: int, fps: float, *, paced: bool) -> None:
        """Unpaced, pictures come as fast as they are taken, their times still a period apart."""
        assert width >= BITS * _BAR_PX and height >= _ROWS
        self._period_ns = round(1e9 / fps)
        self._paced = paced
        # Something to compress: ramps and noise, for which JPEG takes about as much as for a room.
        # (Knuth's multiplicative hash makes it: numpy.random takes longer to import than a camera to restart.)
        noise = (np.arange(64 * 64 * 3, dtype=np.uint32) * np.uint32(2654435761) >> 28).astype(np.uint8).reshape(64, 64, 3)
        self._ground = np.tile(noise, (-(-height // 64), -(-width // 64), 1))[:height, :width].copy()
        self._ground[..., 0] += (np.arange(width) // 3).astype(np.uint8)
        self._ground[..., 1] += (np.arange(height) // 2).astype(np.uint8)[:, None]

    def frames(self, start_ns: int) -> Iterator[CapturedImage]:
        tick = first = -(-start_ns // self._period_ns)
        while True:
            captured_ns = tick * self._period_ns
            if self._paced:
                late_ns = time.monotonic_ns() - captured_ns
                if late_ns < 0:
                    time.sleep(-late_ns / 1e9)
                elif late_ns > self._period_ns:
                    # A camera does not wait for a slow host: the frames in between are gone.
                    tick += late_ns // self._period_ns
                    continue
            yield CapturedImage(tick - first, captured_ns, self.picture(tick))
            tick += 1

    def picture(self, number: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB, a new one each time."""
        image = self._ground.copy()
        bits = (number >> np.arange(BITS)) & 1
        image[:_ROWS, : BITS * _BAR_PX] = np.repeat(bits.astype(np.uint8) * 255, _BAR_PX)[None, :, None]
        return image

    def close(self) -> None:
        pass


def read_number(image: np.ndarray) -> int:
    """The number that a picture shows, modulo 2**BITS; (H, W, 3) uint8."""
    bars = image[:_ROWS, : BITS * _BAR_PX].reshape(_ROWS, BITS, -1).mean(axis=(0, 2))
    return int(((bars > 127).astype(np.int64) << np.arange(BITS)).sum())
