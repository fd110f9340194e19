"""Network predictions for crops of a frame: crops cut, joints predicted and rotated into the frame camera's axes, and refined.

Networks whose manifest says `upright` take crops in which the fingers' knuckles stand above the wrist: that much less to learn.
A prediction for a hand of unknown roll tells the roll of the next crop.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hand.camera import PinholeCamera
from hand.joints import unit_hand
from runtime.engines.engine import Engine
from runtime.estimators.crop import CropCamera, HandCrop
from runtime.estimators.tracker import box_around, roll_of
from runtime.types import HandBox, ViewHand

MAX_PREDICTIONS = 3
"""Predictions for one hand in one frame, the first included, until its box fits the predicted joints."""
MAX_SHIFT = 0.12
"""Largest offset of the hand from the middle of its box, as a share of the side; beyond that it is predicted again."""
MAX_SIZE_RATIO = 1.25
"""Largest ratio of their sizes."""
MAX_ROLL_DEG = 25.0
"""Largest roll in the crop, for networks with upright crops."""
MIN_BOX_PX = 8.0
ROLLS_DEG = (0.0, 120.0, 240.0)
"""Roll hypotheses of a box, for networks with upright crops; refinement finds the roll from the nearest."""


@dataclass(frozen=True, slots=True)
class CropRequest:
    """A box in a frame, whose hand is to be predicted."""

    box: HandBox
    camera: PinholeCamera
    """The one that took the frame."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class CropPrediction:
    """The network's hand in one box."""

    request: CropRequest
    hand: ViewHand

    @property
    def box(self) -> HandBox:
        return self.request.box

    @property
    def confidence(self) -> float:
        """Mean confidence of the joints."""
        return float(self.hand.confidence.mean())


def roll_hypotheses(box: HandBox, upright: bool) -> list[HandBox]:
    """The box, whose roll is unknown, at each roll that is to be tried."""
    return [replace(box, roll_deg=box.roll_deg + roll_deg) for roll_deg in (ROLLS_DEG if upright else (0.0,))]


def predict_crops(engine: Engine, requests: Sequence[CropRequest]) -> list[CropPrediction]:
    """The network's prediction for each request, all in one batch."""
    if not requests:
        return []
    size, axes = engine.manifest.crop_size, engine.manifest.axes
    crops = [HandCrop.cut(request.box, request.camera, request.image, size) for request in requests]
    cropped_ns = time.monotonic_ns()
    prediction = engine(np.stack([crop.image for crop in crops]))
    inferred_ns = time.monotonic_ns()
    rows = zip(requests, crops, prediction.joints, prediction.pixels, prediction.confidence, strict=True)
    return [
        CropPrediction(
            request,
            ViewHand(
                crop.view,
                crop.side,
                _in_camera_axes(joints, crop.camera, axes),
                crop.camera.frame_from_crop(pixels),
                confidence.astype(float),
                cropped_ns=cropped_ns,
                inferred_ns=inferred_ns,
            ),
        )
        for request, crop, joints, pixels, confidence in rows
    ]


def predict_best_roll(engine: Engine, requests: Sequence[CropRequest]) -> list[CropPrediction]:
    """For each request of unknown roll, the most confident prediction over its roll hypotheses."""
    hypotheses = [roll_hypotheses(request.box, engine.manifest.upright) for request in requests]
    predictions = iter(
        predict_crops(
            engine, [replace(request, box=box) for request, boxes in zip(requests, hypotheses, strict=True) for box in boxes]
        )
    )
    return [max((next(predictions) for _ in boxes), key=lambda prediction: prediction.confidence) for boxes in hypotheses]


def refine_predictions(engine: Engine, predictions: Sequence[CropPrediction]) -> list[CropPrediction]:
    """The same hands, predicted again where the box missed the hand, as long as that does not lower the confidence."""
    best = list(predictions)
    unfit = [number for number, prediction in enumerate(best) if _misses_hand(prediction, engine.manifest.upright)]
    for _ in range(MAX_PREDICTIONS - 1):
        refined = predict_crops(engine, [_fitted(best[number], engine.manifest.upright) for number in unfit])
        better = [(number, new) for number, new in zip(unfit, refined, strict=True) if new.confidence >= best[number].confidence]
        for number, new in better:
            best[number] = replace(new, hand=replace(new.hand, cropped_ns=best[number].hand.cropped_ns))
        unfit = [number for number, new in better if _misses_hand(new, engine.manifest.upright)]
    return best


def _misses_hand(prediction: CropPrediction, upright: bool) -> bool:
    """Whether the box misses the predicted hand by more than training crops do."""
    box, pixels = prediction.box, prediction.hand.pixels
    centre, size = box_around(pixels, box.roll_deg)
    if not np.isfinite(size) or size <= 0:
        return False
    shift = np.abs(centre - np.array(box.centre_px)).max() / box.size_px
    ratio = size / box.size_px
    rolled = abs((roll_of(pixels) - box.roll_deg + 180) % 360 - 180) if upright else 0.0
    return bool(shift > MAX_SHIFT or not 1 / MAX_SIZE_RATIO < ratio < MAX_SIZE_RATIO or rolled > MAX_ROLL_DEG)


def _fitted(prediction: CropPrediction, upright: bool) -> CropRequest:
    """The request whose box fits the predicted hand."""
    pixels = prediction.hand.pixels
    roll_deg = roll_of(pixels) if upright else prediction.box.roll_deg
    centre, size = box_around(pixels, roll_deg)
    x, y = centre.tolist()
    box = replace(prediction.box, centre_px=(x, y), size_px=max(size, MIN_BOX_PX), roll_deg=roll_deg)
    return replace(prediction.request, box=box)


def _in_camera_axes(joints: np.ndarray, camera: CropCamera, axes: Literal["crop", "frame"]) -> np.ndarray:
    """Unit hand (21, 3) in the frame camera's axes from the network's joints (21, 3)."""
    joints = joints.astype(float)
    return unit_hand(camera.joints_in_frame(joints) if axes == "crop" else camera.unmirrored(joints))
