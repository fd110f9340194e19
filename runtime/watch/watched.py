"""What a watcher is and what it is shown: a pair with its hands and its calibration status, and some of the pictures."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np

from capture.frames import FramePair
from capture.views import PerView, View
from hand.findings import Finding
from runtime.calibration.status import CalibrationStatus
from runtime.types import DualHand, ViewHand

PICTURE_PERIOD_NS = 200_000_000
"""Pictures are looked at five times a second: what is wrong with one lasts, and every pair would cost too much."""
THUMBNAIL_PX = (64, 48)
"""(width, height)."""
_SAMPLES = (64, 48)
"""Columns and rows of single pixels, about."""
_ENOUGH_PX = 240
"""A picture's shorter side from which only some rows and columns go into its thumbnail."""
_NO_HANDS: PerView[ViewHand | None] = PerView(None, None)


@dataclass(frozen=True, slots=True)
class WatchedPair:
    """One pair, and what came of it."""

    captured_ns: int
    """The later of both captures."""
    pair: FramePair
    hand: DualHand | None
    calibration: CalibrationStatus | None
    """None where nothing is calibrated."""
    passed_ns: int
    """Since the run's first pair."""

    @property
    def hands(self) -> PerView[ViewHand | None]:
        """Each view's own hand; both None where no hand came of the pair."""
        return self.hand.views if self.hand else _NO_HANDS

    @property
    def both(self) -> bool:
        """Whether both views see a hand."""
        return self.hands.left is not None and self.hands.right is not None


class Picture:
    """One view's picture, in the small forms that watchers compare."""

    def __init__(self, image: np.ndarray):
        self.image = image
        """(H, W, 3) uint8 RGB."""

    @cached_property
    def samples(self) -> np.ndarray:
        """(N, 3) uint8: single pixels on a grid. Unlike means, they hold the sensor's noise, which never stands still."""
        height, width = self.image.shape[:2]
        step_x, step_y = max(width // _SAMPLES[0], 1), max(height // _SAMPLES[1], 1)
        return np.ascontiguousarray(self.image[step_y // 2 :: step_y, step_x // 2 :: step_x]).reshape(-1, 3)

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """(48, 64) float32: green, which is nearest to brightness, in [0, 255], averaged."""
        step = max(min(self.image.shape[:2]) // _ENOUGH_PX, 1)
        green = np.ascontiguousarray(self.image[::step, ::step, 1])
        return cv2.resize(green, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)


class Watcher(Protocol):
    """Looks at every pair and says what is wrong just now. Without clocks, threads or files."""

    def take(self, watched: WatchedPair) -> None: ...

    @property
    def findings(self) -> list[Finding]:
        """What is the case just now; a finding that is not among them any more is withdrawn."""
        ...


class PictureWatcher(Protocol):
    """A `Watcher` that is also shown some of the pictures."""

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """Called after `take`, every `PICTURE_PERIOD_NS`; None for a view that is absent."""
        ...

    def take(self, watched: WatchedPair) -> None: ...

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        ...


def pictures_of(pair: FramePair) -> PerView[Picture | None]:
    def of(view: View) -> Picture | None:
        return None if pair[view].absent else Picture(pair[view].image)

    return PerView.of(of)
