"""A sheet to draw text, lines and boxes on, in units of the finished picture's pixels; drawn twice as large and shrunk."""

from collections.abc import Sequence

import cv2
import numpy as np

from hand.joints import BONES

Colour = tuple[int, int, int]

BACKGROUND: Colour = (24, 26, 31)
PANEL: Colour = (33, 36, 43)
GRID: Colour = (58, 62, 72)
TEXT: Colour = (222, 224, 230)
DIM: Colour = (150, 155, 166)
OVERSAMPLING = 2
_FONT = cv2.FONT_HERSHEY_DUPLEX
_FONT_UNIT_PX = 22.0
"""Height of the font's capitals at a scale of 1."""


class Sheet:
    """One picture in the making."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._pixels = np.empty((height * OVERSAMPLING, width * OVERSAMPLING, 3), np.uint8)
        self._pixels[:] = BACKGROUND

    def finished(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB."""
        return cv2.resize(self._pixels, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def text(self, x: float, y: float, text: str, size: float = 9, colour: Colour = TEXT, align: float = 0.0) -> None:
        """ASCII text with its base line at y and capitals `size` px high; `align` 0 begins at x, 0.5 is centred, 1 ends there."""
        scale = size * OVERSAMPLING / _FONT_UNIT_PX
        width = cv2.getTextSize(text, _FONT, scale, 1)[0][0]
        at = _large(x) - round(width * align), _large(y)
        cv2.putText(self._pixels, text, at, _FONT, scale, colour, max(1, round(size * OVERSAMPLING / 14)), cv2.LINE_AA)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour = PANEL) -> None:
        """A filled rectangle."""
        corners = (_large(x), _large(y)), (_large(x + width) - 1, _large(y + height) - 1)
        if width > 0 and height > 0:
            cv2.rectangle(self._pixels, *corners, colour, -1)

    def lines(self, points: Sequence[tuple[float, float]] | np.ndarray, colour: Colour, thickness: float = 1.5) -> None:
        """A polyline through points (N, 2)."""
        large = np.round(np.asarray(points, float) * OVERSAMPLING).astype(np.int32)
        cv2.polylines(self._pixels, [large[:, None]], False, colour, max(1, round(thickness * OVERSAMPLING)), cv2.LINE_AA)

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        cv2.circle(self._pixels, (_large(x), _large(y)), round(radius * OVERSAMPLING), colour, -1, cv2.LINE_AA)

    def picture(self, x: float, y: float, side: float, image: np.ndarray) -> None:
        """A square RGB picture (S, S, 3), enlarged or shrunk to `side`."""
        large = _large(side)
        shown = cv2.resize(image, (large, large), interpolation=cv2.INTER_CUBIC)
        self._pixels[_large(y) : _large(y) + large, _large(x) : _large(x) + large] = shown

    def skeleton(self, points: np.ndarray, colour: Colour, clip: tuple[float, float, float]) -> None:
        """A hand's joints (21, 2); what lies outside of the square `clip` (x, y, side) is not drawn."""
        x, y, side = (_large(value) for value in clip)
        view = self._pixels[y : y + side, x : x + side]
        inside = np.round(points * OVERSAMPLING - [x, y]).clip(-1e5, 1e5).astype(int)
        for start, end in BONES:
            cv2.line(view, inside[start].tolist(), inside[end].tolist(), colour, OVERSAMPLING + 1, cv2.LINE_AA)


class Plot:
    """Axes on a sheet."""

    def __init__(
        self, sheet: Sheet, place: tuple[float, float, float, float], title: str, x: tuple[float, ...], y: tuple[float, ...]
    ):  # fmt: skip
        """In the panel `place` (x, y, width, height), with ticks at `x` and `y`, which the axes span."""
        left, top, width, height = place
        self._sheet = sheet
        self._x, self._y = (x[0], x[-1]), (y[0], y[-1])
        self._left, self._top = left + 44, top + 34
        self._width, self._height = width - 62, height - 62
        sheet.box(*place)
        sheet.text(left + 12, top + 20, title, 10)
        for tick in x:
            at = self.at(tick, y[0])
            sheet.lines([at, self.at(tick, y[-1])], GRID, 0.5)
            sheet.text(at[0], at[1] + 16, f"{tick:g}", 8, DIM, 0.5)
        for tick in y:
            at = self.at(x[0], tick)
            sheet.lines([at, self.at(x[-1], tick)], GRID, 0.5)
            sheet.text(at[0] - 7, at[1] + 4, f"{tick:g}", 8, DIM, 1)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a value lies on the sheet; values off the axes lie at their ends."""
        across, up = ((np.clip(v, *span) - span[0]) / (span[1] - span[0]) for v, span in ((x, self._x), (y, self._y)))
        return self._left + float(across) * self._width, self._top + (1 - float(up)) * self._height

    def curve(self, x: np.ndarray, y: np.ndarray, colour: Colour, thickness: float = 1.5, dots: bool = False) -> None:
        points = [self.at(*point) for point in zip(x.tolist(), y.tolist(), strict=True)]
        self._sheet.lines(points, colour, thickness)
        for point in points if dots else ():
            self._sheet.dot(*point, 3, colour)


def _large(value: float) -> int:
    return round(value * OVERSAMPLING)
