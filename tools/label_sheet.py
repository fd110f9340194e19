"""A picture of labelled crops, each with its joints: for a look at what a teacher says."""

from dataclasses import dataclass

import numpy as np

from adapt.core.label_crops import LabelledCrop
from tools.evaluate.sheet import DIM, TEXT, Colour, Sheet

COLUMNS, ROWS = 8, 5
LOOKS = COLUMNS * ROWS
"""Crops that the picture shows at most."""
_TILE, _GAP, _LABEL, _HEAD = 150, 8, 20, 40
_BONE: Colour = (255, 235, 90)
_SURE, _UNSURE = np.array([90, 230, 110]), np.array([255, 70, 70])


@dataclass(frozen=True, slots=True)
class Look:
    """A crop that is shown."""

    title: str
    number: int
    """Of its pair."""
    crop: LabelledCrop


def draw_looks(looks: list[Look]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: each crop with its border, its joints green where they are sure and red where they are not."""
    columns = min(COLUMNS, max(len(looks), 1))
    rows = -(-len(looks) // columns)
    sheet = Sheet(columns * (_TILE + _GAP) + _GAP, _HEAD + rows * (_TILE + _LABEL + _GAP))
    sheet.text(_GAP, 26, "pair and view, mean weight; joints from sure (green) to doubtful (red)", 10, DIM)
    for place, look in enumerate(looks):
        x = _GAP + place % columns * (_TILE + _GAP)
        y = _HEAD + place // columns * (_TILE + _LABEL + _GAP)
        crop = look.crop
        sheet.picture(x, y, _TILE, crop.image)
        points = (crop.pixels + 0.5) * (_TILE / crop.camera.size) + [x, y]
        sheet.skeleton(points, _BONE, (x, y, _TILE))
        for point, weight in zip(points, crop.weight, strict=True):
            if (abs(point - [x + _TILE / 2, y + _TILE / 2]) < _TILE / 2).all():
                red, green, blue = np.round(_UNSURE + (_SURE - _UNSURE) * weight).astype(int).tolist()
                sheet.dot(float(point[0]), float(point[1]), 2, (red, green, blue))
        sheet.text(x, y + _TILE + 14, f"{look.title}  {crop.weight.mean():.2f}", 8, TEXT)
    return sheet.finished()
