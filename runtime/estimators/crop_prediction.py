"""What a network sees in boxes: crops cut, joints predicted and turned into the frame camera's axes; and a second look.

Networks whose manifest says `upright` are shown the hand standing on its wrist: that much less to learn, and a look at a
hand of unknown roll tells how to turn the next crop.
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
"""How often one frame is looked at, the first look included, until the box fits what is seen in it."""
FAR_OFF_SHIFT = 0.12
"""Share of a box's side by which the hand in it may be off its middle before it is looked at again."""
FAR_OFF_RATIO = 1.25
"""And by what factor it may be larger or smaller."""
FAR_OFF_ROLL_DEG = 25.0
"""And by how much it may be rolled, for networks that want it upright."""
SMALLEST_BOX_PX = 8.0
ROLLS_DEG = (0.0, 120.0, 240.0)
"""How a box of unknown roll is turned for networks that want hands upright; they find their way from the nearest."""


@dataclass(frozen=True, slots=True)
class CropRequest:
    """A box in a picture."""

    box: HandBox
    camera: PinholeCamera
    """That took the picture."""
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class CropPrediction:
    """What the network says of one box."""

    place: CropRequest
    hand: ViewHand

    @property
    def box(self) -> HandBox:
        return self.place.box

    @property
    def sure(self) -> float:
        """Mean confidence of the joints."""
        return float(self.hand.confidence.mean())


def roll_hypotheses(box: HandBox, upright: bool) -> list[HandBox]:
    """The box, of which no roll is known, in all the ways that a first look tries."""
    return [replace(box, roll_deg=box.roll_deg + roll_deg) for roll_deg in (ROLLS_DEG if upright else (0.0,))]


def predict_crops(engine: Engine, places: Sequence[CropRequest]) -> list[CropPrediction]:
    """The network's hand in each place, all in one run."""
    if not places:
        return []
    size, axes = engine.manifest.crop_size, engine.manifest.axes
    crops = [HandCrop.cut(place.box, place.camera, place.image, size) for place in places]
    cropped_ns = time.monotonic_ns()
    answer = engine(np.stack([crop.image for crop in crops]))
    inferred_ns = time.monotonic_ns()
    rows = zip(places, crops, answer.joints, answer.pixels, answer.confidence, strict=True)
    return [
        CropPrediction(
            place,
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
        for place, crop, joints, pixels, confidence in rows
    ]


def predict_best_roll(engine: Engine, places: Sequence[CropRequest]) -> list[CropPrediction]:
    """To each place of unknown roll, the surest answer of those to all its turns."""
    ways = [roll_hypotheses(place.box, engine.manifest.upright) for place in places]
    answers = iter(
        predict_crops(engine, [replace(place, box=box) for place, boxes in zip(places, ways, strict=True) for box in boxes])
    )
    return [max((next(answers) for _ in boxes), key=lambda answer: answer.sure) for boxes in ways]


def refine_predictions(engine: Engine, answers: Sequence[CropPrediction]) -> list[CropPrediction]:
    """The same hands, looked at anew where the box was far off the hand in it, as long as that does not make them less sure."""
    best = list(answers)
    open_ = [number for number, answer in enumerate(best) if _is_far_off(answer, engine.manifest.upright)]
    for _ in range(MAX_PREDICTIONS - 1):
        again = predict_crops(engine, [_fitted(best[number], engine.manifest.upright) for number in open_])
        better = [(number, new) for number, new in zip(open_, again, strict=True) if new.sure >= best[number].sure]
        for number, new in better:
            best[number] = replace(new, hand=replace(new.hand, cropped_ns=best[number].hand.cropped_ns))
        open_ = [number for number, new in better if _is_far_off(new, engine.manifest.upright)]
    return best


def _is_far_off(answer: CropPrediction, upright: bool) -> bool:
    """Whether the box missed the hand that was seen in it by more than training crops do."""
    box, pixels = answer.box, answer.hand.pixels
    centre, size = box_around(pixels, box.roll_deg)
    if not np.isfinite(size) or size <= 0:
        return False
    shift = np.abs(centre - np.array(box.centre_px)).max() / box.size_px
    ratio = size / box.size_px
    rolled = abs((roll_of(pixels) - box.roll_deg + 180) % 360 - 180) if upright else 0.0
    return bool(shift > FAR_OFF_SHIFT or not 1 / FAR_OFF_RATIO < ratio < FAR_OFF_RATIO or rolled > FAR_OFF_ROLL_DEG)


def _fitted(answer: CropPrediction, upright: bool) -> CropRequest:
    """The place whose box holds the hand that was seen."""
    pixels = answer.hand.pixels
    roll_deg = roll_of(pixels) if upright else answer.box.roll_deg
    centre, size = box_around(pixels, roll_deg)
    x, y = centre.tolist()
    box = replace(answer.box, centre_px=(x, y), size_px=max(size, SMALLEST_BOX_PX), roll_deg=roll_deg)
    return replace(answer.place, box=box)


def _in_camera_axes(joints: np.ndarray, camera: CropCamera, axes: Literal["crop", "frame"]) -> np.ndarray:
    """Unit hand (21, 3) in the frame camera's axes from a network's answer."""
    joints = joints.astype(float)
    return unit_hand(camera.joints_in_frame(joints) if axes == "crop" else camera.unmirrored(joints))
