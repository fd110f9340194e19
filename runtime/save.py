"""`hands.jsonl`: one line for each merged hand, with both views, times and confidences."""

import math
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from capture.frames import FramePair
from capture.views import VIEWS, View
from hand.errors import UserError
from runtime.geometry import TwoViewGeometry
from runtime.rotation import SURE_DEG
from runtime.types import STAGES, DualHand

DIGITS = 5
"""Decimals kept of joints: a unit hand's fifth is a micrometre."""

_WAITING = 600


class HandWriter:
    """Writes hands in order; those from before the rotation was sure wait for it, so that both views can be written.

    At most `_WAITING` hands wait; the oldest beyond that is written with what is known. Raises UserError where the file
    cannot be made.
    """

    def __init__(self, path: Path):
        self.lines = 0
        """Lines written."""
        self._waiting: deque[tuple[FramePair, DualHand]] = deque()
        self._rotation: np.ndarray | None = None
        """The latest one."""
        self._encoder = msgspec.json.Encoder()
        make_folder_of(path)
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise UserError(f"cannot write hands to {path}: {error.strerror}; give --save a file that can be made") from error

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Add what came of a pair."""
        for hand in hands:
            self.write(pair, hand)

    def write(self, pair: FramePair, hand: DualHand) -> None:
        """Add one hand of `pair`."""
        if hand.R_right_from_left is not None:
            self._rotation = hand.R_right_from_left
        if hand.rotation_uncertainty_deg <= SURE_DEG:
            self._flush()
            self._write(pair, hand)
            return
        # A later rotation stands in for the unsure one.
        self._waiting.append((pair, replace(hand, R_right_from_left=None)))
        if len(self._waiting) > _WAITING:
            self._write(*self._waiting.popleft())

    def close(self) -> None:
        """Write what still waits and close the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        while self._waiting:
            self._write(*self._waiting.popleft())

    def _write(self, pair: FramePair, hand: DualHand) -> None:
        self._file.write(self._encoder.encode(hand_line(pair, hand, self._rotation)) + b"\n")
        self.lines += 1


def make_folder_of(path: Path) -> None:
    """Make the folder that `path` is to be written in; raises UserError where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder of {path}: {error.strerror}; name a file that can be made") from error


def hand_line(pair: FramePair, hand: DualHand, rotation: np.ndarray | None) -> dict[str, Any]:
    """What one line holds.

    `rotation`: (3, 3) R_right_from_left, that of a later pair if `hand` came before the first one. A view that saw no hand of
    its own gets the merged one as seen from there, marked `"own": false`; `joints` is null where no rotation carries it over.
    """
    timings = hand.timings
    return {
        "index": pair.left.seq,
        "side": hand.side,
        "views": {view: _view(view, pair, hand, rotation) for view in VIEWS},
        "fused": {"joints": _numbers(hand.joints), "weight_left": _numbers(hand.weight_left)},
        "R_right_from_left": _numbers(rotation, digits=9),
        "rotation_uncertainty_deg": hand.rotation_uncertainty_deg if math.isfinite(hand.rotation_uncertainty_deg) else None,
        "wrist_mm": _numbers(hand.wrist_mm, digits=2),
        "reprojection_px": hand.reprojection_px,
        "cameras": None if hand.geometry is None else _cameras(hand.geometry),
        "skew_ns": pair.skew_ns,
        **{f"{stage}_ns": getattr(timings, f"{stage}_ns") for stage in STAGES[1:-1]},
    }


def _view(view: View, pair: FramePair, hand: DualHand, rotation: np.ndarray | None) -> dict[str, Any]:
    frame, own = pair[view], hand.views[view]
    line: dict[str, Any] = {"seq": frame.seq, "captured_ns": frame.captured_ns, "own": own is not None}
    if own is not None:
        return line | {
            "joints": _numbers(own.joints),
            "confidence": _numbers(own.confidence),
            "pixels": _numbers(own.pixels, digits=2),
        }
    if view == "left":
        return line | {"joints": _numbers(hand.joints)}
    return line | {"joints": None if rotation is None else _numbers(hand.joints @ rotation.T)}


def _cameras(geometry: TwoViewGeometry) -> dict[str, Any]:
    """Both cameras, as the hand was fitted to them."""
    return {
        "focal_px": {view: round(camera.focal_px, 3) for view, camera in geometry.cameras.items()},
        "t_right_from_left_mm": _numbers(geometry.t_right_from_left_mm, digits=3),
    }


def _numbers(values: np.ndarray | None, digits: int = DIGITS) -> list | None:
    return None if values is None else np.round(np.asarray(values, float), digits).tolist()
