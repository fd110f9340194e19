"""Which hands are in a single picture, where time is free: many boxes, each at all rolls and as both hands; the best are kept.

A stream may miss a hand in one frame and find it in the next; a photograph has no next. So boxes over the whole picture are
tried in addition to those of a locator, each at several rolls, and as a right and as a left hand: the network knows upright
right hands only and is less confident on all else, so that the most confident prediction also gives roll and side. A network that
tells which hand it sees is asked for right hands, and for left ones where it says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture.views import View
from hand.camera import PinholeCamera
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import (
    IN_PHOTOGRAPH,
    IN_STREAM,
    CropPrediction,
    CropRequest,
    mirrored,
    predict_crops,
    refine_predictions,
    tells_hand,
)
from runtime.estimators.framing import box_around
from runtime.estimators.tracker import overlap
from runtime.types import HandBox, Side, ViewHand

ROLLS_DEG = (0.0, 90.0, 180.0, 270.0)
SIDES: tuple[Side, Side] = ("right", "left")
GRID_SHARES = (1.0, 0.75, 0.55, 0.4)
"""Sides of the boxes that cover a picture, as shares of its shorter side."""
GRID_STEP = 0.4
"""Most that neighbouring boxes are apart, as a share of their side."""
FINALISTS = 12
"""Predictions that are refined."""
DUPLICATE_COVERAGE = 0.5
"""Share of the smaller hand's box that the other's covers above which they are the same hand."""
BATCH = 64
LOCATOR_WEIGHT = 0.15
"""Weight of a locator's score relative to the network's confidence: it sees the whole picture, the network a crop."""
MIN_SUPPORT_OVERLAP = 0.3
"""Overlap (intersection over union) from which a box's score counts for a hand."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A hand in a picture."""

    hand: ViewHand
    score: float
    """In [0, 1]."""
    box: HandBox
    """Of its last prediction."""


def box_grid(size_px: tuple[int, int], view: View = "left") -> list[HandBox]:
    """Boxes all over a picture of (width, height), the large ones first; their score is 0."""
    boxes = []
    for share in GRID_SHARES:
        side = share * min(size_px)
        columns, rows = (_spread(length, side) for length in size_px)
        boxes += [HandBox(view, "right", (x, y), side, 0.0) for y in rows for x in columns]
    return boxes


def _spread(length: int, side: float) -> list[float]:
    """Middles of intervals of `side` that cover `length` px evenly."""
    free = max(length - side, 0.0)
    count = int(np.ceil(free / (GRID_STEP * side))) + 1
    return (np.linspace(side / 2, length - side / 2, count) - 0.5).tolist()


def search(engine: Engine, image: np.ndarray, camera: PinholeCamera, boxes: Iterable[HandBox]) -> list[SearchHit]:
    """The hands that the network finds in an image (H, W, 3) uint8 RGB, starting from `boxes` of any side, the best first.

    A hand scores by the network's confidence and by the boxes' own scores around it. No two of them cover each other by more
    than `DUPLICATE_COVERAGE`; how good is good enough is left to the caller.
    """
    boxes, tells = list(boxes), tells_hand(engine.manifest)
    requests = [
        CropRequest(replace(box, side=side, roll_deg=box.roll_deg + roll), camera, image)
        for box in boxes
        for roll in (ROLLS_DEG if engine.manifest.upright and not box.turned else ROLLS_DEG[:1])
        for side in (SIDES[:1] if tells else SIDES)
    ]
    predictions = [
        prediction
        for start in range(0, len(requests), BATCH)
        for prediction in predict_crops(engine, requests[start : start + BATCH])
    ]
    predictions = [
        prediction
        for prediction in predictions
        if np.isfinite(prediction.hand.pixels).all() and np.isfinite(prediction.hand.joints).all()
    ]
    finalists = sorted(predictions, key=lambda p: p.confidence + LOCATOR_WEIGHT * p.box.score, reverse=True)[:FINALISTS]
    if tells:
        finalists = _of_their_sides(engine, finalists)
    limits = IN_PHOTOGRAPH if tells else IN_STREAM
    refined = [prediction for prediction in refine_predictions(engine, finalists, limits) if _is_in_picture(prediction, camera)]
    found = (
        SearchHit(p.hand, (p.shows_hand + LOCATOR_WEIGHT * _support(p, boxes)) / (1 + LOCATOR_WEIGHT), p.box) for p in refined
    )
    return without_duplicates(sorted(found, key=lambda one: one.score, reverse=True))


def _of_their_sides(engine: Engine, predictions: Sequence[CropPrediction]) -> list[CropPrediction]:
    """Those of hands of their boxes' side, and the others predicted as the other hand."""
    wrong = [p.same_side is not None and p.same_side < 0.5 for p in predictions]
    others = [replace(p.request, box=mirrored(p.box)) for p, other in zip(predictions, wrong, strict=True) if other]
    anew = iter(predict_crops(engine, others))
    return [next(anew) if other else p for p, other in zip(predictions, wrong, strict=True)]


def _support(prediction: CropPrediction, boxes: Iterable[HandBox]) -> float:
    """The highest score among `boxes` that overlap the box around the hand."""
    centre, size = box_around(prediction.hand.pixels)
    around = (box.score for box in boxes if overlap(box.centre_px, box.size_px, centre, size) >= MIN_SUPPORT_OVERLAP)
    return max(around, default=0.0)


def without_duplicates(found: Sequence[SearchHit]) -> list[SearchHit]:
    """Those of `found`, best first, that are not the same hand as a better one."""
    kept: list[SearchHit] = []
    for one in found:
        if all(_covered(one.hand.pixels, other.hand.pixels) <= DUPLICATE_COVERAGE for other in kept):
            kept.append(one)
    return kept


def _is_in_picture(prediction: CropPrediction, camera: PinholeCamera) -> bool:
    """Whether the middle of the hand is in the picture."""
    centre, _ = box_around(prediction.hand.pixels)
    return bool(np.all(centre >= 0) and np.all(centre <= np.array(camera.size_px) - 1))


def _covered(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the smaller one of the bounding boxes of joints (21, 2) and (21, 2) that the larger one covers."""
    low, high = np.maximum(a.min(0), b.min(0)), np.minimum(a.max(0), b.max(0))
    common = np.prod((high - low).clip(0))
    return float(common / max(min(np.prod(np.ptp(a, 0)), np.prod(np.ptp(b, 0))), 1e-9))
