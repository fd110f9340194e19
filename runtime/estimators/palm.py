"""Where palms are in a whole frame, by MediaPipe's palm detector: what its output says, and the square of the hand.

Sources: Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020), sections 2 and 3.1, and the model's published
parameters (MediaPipe's graphs of palm detection, Apache-2.0). Its anchors all have size 1, so a box is the anchor's place plus
what the network says, in shares of the input's side.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from runtime.estimators.litert import Model
from runtime.estimators.square import Square

INPUT_PX = 192
STRIDES = (8, 16, 16, 16)
"""Of the feature maps; each gives two anchors a cell."""
MIN_SCORE = 0.5
SAME_PALM_IOU = 0.3
_WRIST, _MIDDLE_MCP = 0, 2
"""Of the seven keypoints of a palm."""
_HAND_SHIFT, _HAND_SCALE = -0.5, 2.6
"""From a palm's box to the square of its hand: towards the fingers, and larger."""


@dataclass(frozen=True, slots=True)
class Palm:
    """One palm."""

    score: float
    low_px: np.ndarray
    """(2,) upper left corner in the frame."""
    high_px: np.ndarray
    """(2,) lower right corner."""
    keypoints_px: np.ndarray
    """(7, 2) wrist, knuckles of index, middle, ring and little finger, thumb's CMC and MCP."""

    @property
    def hand(self) -> Square:
        """The square of the whole hand, standing on its wrist."""
        along = self.keypoints_px[_MIDDLE_MCP] - self.keypoints_px[_WRIST]
        roll_deg = float(np.degrees(np.arctan2(along[0], -along[1])))
        width, height = self.high_px - self.low_px
        x, y = (self.low_px + self.high_px) / 2
        square = Square((float(x), float(y)), float(max(width, height)), roll_deg)
        return square.moved(0, _HAND_SHIFT * height / square.size_px, _HAND_SCALE)


def anchors() -> np.ndarray:
    """(2016, 2) centres in [0, 1], x before y: row by row, all anchors of a cell together, maps of one stride too."""
    centres = []
    for stride in sorted(set(STRIDES)):
        cells = INPUT_PX // stride
        y, x = np.mgrid[:cells, :cells]
        cell = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells
        centres.append(np.repeat(cell, 2 * STRIDES.count(stride), axis=0))
    return np.concatenate(centres)


class PalmDetector:
    """Finds palms in a frame, or in a part of it."""

    def __init__(self, model: Model, min_score: float = MIN_SCORE):
        """Palms that score less are not reported."""
        self._model = model
        self._min_score = min_score
        self._anchors = anchors()

    def __call__(self, image: np.ndarray, within: Square | None = None) -> list[Palm]:
        """Palms in an image (H, W, 3) uint8 RGB, best first; of `within` alone if given."""
        height, width = image.shape[:2]
        # The frame's whole area in one square, black beyond its edges.
        square = within or Square((width / 2, height / 2), float(max(width, height)))
        crop = square.cut(image, INPUT_PX, outside=cv2.BORDER_CONSTANT)
        raw, logits = self._model(crop)
        return palms_of(raw[0], logits[0, :, 0], self._anchors, square, self._min_score)


def palms_of(raw: np.ndarray, logits: np.ndarray, at: np.ndarray, square: Square, min_score: float = MIN_SCORE) -> list[Palm]:
    """Palms, best first, from raw boxes (N, 18), their scores' logits (N,) and anchors (N, 2) of a crop of `square`.

    A raw box is its centre, width and height, then seven keypoints, in pixels of the network's input relative to the anchor.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits.astype(float), -100, 100)))
    good = np.flatnonzero(scores >= min_score)
    good = good[np.argsort(-scores[good])]
    scores, raw, at = scores[good], raw[good].astype(float) / INPUT_PX, at[good]
    centre, half = raw[:, :2] + at, raw[:, 2:4] / 2
    points = np.concatenate([(centre - half)[:, None], (centre + half)[:, None], raw[:, 4:].reshape(-1, 7, 2) + at[:, None]], 1)
    palms = []
    while len(scores):
        # Boxes of one palm are averaged by their scores, as the published graph does, and count as its best.
        same = _iou(points[0], points) > SAME_PALM_IOU
        same[0] = True
        mean = np.average(points[same], axis=0, weights=scores[same])
        low, high = mean[:2]
        palms.append(Palm(float(scores[0]), *(square.to_frame(p, 1) for p in (low, high, mean[2:]))))
        scores, points = scores[~same], points[~same]
    return palms


def _iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of one box with many, all given by corners first (2+, 2)."""
    common = np.prod(np.maximum(np.minimum(box[1], boxes[:, 1]) - np.maximum(box[0], boxes[:, 0]), 0), -1)
    areas = np.prod(boxes[:, 1] - boxes[:, 0], -1)
    return common / (np.prod(box[1] - box[0]) + areas - common)
