"""Which photographs of hands there are to learn from, and where their joints are: folders with a `labels.jsonl`.

A line a picture, one hand each: {"file": name in the folder, "keypoints_px": (21×2) px of the picture, "right": probability of a
right hand}; what else a line says is not read.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hand.errors import UserError
from hand.joints import JOINTS

LABELS = "labels.jsonl"


@dataclass(frozen=True, slots=True)
class LabelledPhotograph:
    """One photograph of one hand."""

    file: Path
    pixels: np.ndarray
    """(21, 2) px of the picture."""
    right: bool
    """Whether it is a right hand."""


class _Line(msgspec.Struct):
    file: str
    keypoints_px: list[tuple[float, float]]
    right: float


def labelled_photographs(folder: Path) -> list[LabelledPhotograph]:
    """Those of the folder and of the folders in it, in a fixed order. Raises UserError for none, and for broken labels."""
    found = [photograph for labels in sorted(folder.glob(f"**/{LABELS}")) for photograph in _read(labels)]
    if not found:
        raise UserError(
            f"{folder} holds no photographs with {LABELS}: give a folder with that file, or folders with one each in it"
        )
    return found


def _read(labels: Path) -> list[LabelledPhotograph]:
    photographs = []
    for number, line in enumerate(labels.read_bytes().splitlines(), 1):
        try:
            one = msgspec.json.decode(line, type=_Line)
            pixels = np.array(one.keypoints_px)
            if pixels.shape != (JOINTS, 2) or not np.isfinite(pixels).all():
                raise ValueError(f"keypoints_px has the shape {pixels.shape}, expected ({JOINTS}, 2)")
        except (msgspec.DecodeError, ValueError) as error:
            raise UserError(
                f"{labels}, line {number}: {error}; expected file, keypoints_px and right of one photograph"
            ) from error
        photographs.append(LabelledPhotograph(labels.parent / one.file, pixels, one.right >= 0.5))
    return photographs
