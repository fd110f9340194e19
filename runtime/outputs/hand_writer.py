"""`--save`: `hands.jsonl`, one line for each merged hand, with both views, times and confidences."""

from collections import deque
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from capture.frames import FramePair
from hand.errors import UserError
from hand.files import LineFile
from runtime.geometry.rotation_estimator import MAX_ROTATION_UNCERTAINTY_DEG
from runtime.outputs.hand_line import hand_line
from runtime.types import DualHand

_BUFFERED = 600


class HandWriter:
    """Writes hands in order; those from before the rotation was certain are buffered until it is, to write both views of them.

    At most `_BUFFERED` hands are; beyond that the oldest is written with what is known.
    """

    def __init__(self, path: Path, *, overwrite: bool = False):
        """Raises UserError where the file cannot be made."""
        self._used = False
        self._buffer: deque[tuple[FramePair, DualHand]] = deque()
        self._rotation: np.ndarray | None = None
        """The latest R_right_from_left."""
        self._encoder = msgspec.json.Encoder()
        try:
            self._file = LineFile(path, overwrite=overwrite)
        except OSError as error:
            raise UserError(f"cannot write hands to {path}: {error.strerror}; give --save a file that can be made") from error

    @property
    def written(self) -> str:
        return f"{self._file.lines} hands"

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Add the hands of a pair. Raises OSError, the file being whole to its last line, where they cannot be written."""
        self._used = True
        for hand in hands:
            self.write(pair, hand)

    def write(self, pair: FramePair, hand: DualHand) -> None:
        """Add one hand of `pair`. Raises OSError."""
        self._used = True
        if hand.R_right_from_left is not None:
            self._rotation = hand.R_right_from_left
        # A given calibration that is not tested yet is used nevertheless.
        if hand.rotation_uncertainty_deg is None or hand.rotation_uncertainty_deg <= MAX_ROTATION_UNCERTAINTY_DEG:
            self._flush()
            self._write(pair, hand)
            return
        # A later rotation replaces the uncertain one.
        self._buffer.append((pair, replace(hand, R_right_from_left=None)))
        if len(self._buffer) > _BUFFERED:
            self._write(*self._buffer.popleft())

    def close(self) -> None:
        """Write the buffered hands and close the file; a run without a pair leaves none. Raises OSError. May be called again."""
        if not self._used:
            self._file.discard()
            return
        try:
            self._flush()
        finally:
            self._buffer.clear()
            self._file.close()

    def _flush(self) -> None:
        while self._buffer:
            self._write(*self._buffer.popleft())

    def _write(self, pair: FramePair, hand: DualHand) -> None:
        self._file.write(self._encoder.encode(hand_line(pair, hand, self._rotation)))
