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
from runtime.estimators.framing import Framing
from runtime.estimators.uncertainty import shape_sigma
from runtime.networks.weights import Manifest, network_class
from runtime.types import HandBox, ViewHand

MAX_PREDICTIONS = 3
"""Predictions for one hand in one frame, the first included, until its box fits the predicted joints."""
MIN_BOX_PX = 8.0
MIN_PRESENCE = 0.5
"""Presence below which a crop shows no hand, for networks that tell it."""
ROLLS_DEG = (0.0, 120.0, 240.0)
"""Roll hypotheses of a box, for networks with upright crops; refinement finds the roll from the nearest."""


@dataclass(frozen=True, slots=True)
class FitLimits:
    """How far a box may be off the hand predicted in it, before the hand is predicted again."""

    shift: float
    """Of the hand from the middle of its box, as a share of the side."""
    size_ratio: float
    roll_deg: float
    """In the crop, for networks with upright crops."""


IN_STREAM = FitLimits(0.12, 1.25, 25.0)
"""As far as training crops are off."""
IN_PHOTOGRAPH = FitLimits(0.02, 1.03, 4.0)
"""As a stream would fit the box in its next frames."""


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
    presence: float | None = None
    """In [0, 1]: that the box shows a hand; None for networks that do not tell."""
    same_side: float | None = None
    """In [0, 1]: that it is a hand of the box's side; None for networks that do not tell."""

    @property
    def box(self) -> HandBox:
        return self.request.box

    @property
    def confidence(self) -> float:
        """Mean confidence of the joints, times the presence where the network tells it: which prediction is the best."""
        mean = float(self.hand.confidence.mean())
        return mean if self.presence is None else mean * self.presence

    @property
    def shows_hand(self) -> float:
        """In [0, 1]: that there is a hand at all, whichever way it is seen."""
        return self.confidence if self.presence is None else self.presence

    @property
    def surely_it(self) -> float:
        """In [0, 1]: that there is a hand, of the box's side; of networks that do not tell, the mean confidence of the joints."""
        return self.confidence if self.presence is None or self.same_side is None else self.presence * self.same_side

    @property
    def preference(self) -> tuple[bool, float]:
        """The larger, the better: a hand before anything else, then the confidence that it is one of the box's side."""
        if self.presence is None or self.same_side is None:
            return True, self.confidence
        return self.presence >= MIN_PRESENCE, self.confidence * self.same_side


def mirrored(box: HandBox) -> HandBox:
    """The box for the other hand."""
    return replace(box, side="left" if box.side == "right" else "right")


def tells_hand(manifest: Manifest) -> bool:
    """Whether the network tells that there is a hand, and which one. Raises UserError for an unknown architecture."""
    return {"presence", "right"} <= set(network_class(manifest.architecture).outputs)


def roll_hypotheses(box: HandBox, upright: bool) -> list[HandBox]:
    """The box at each roll that is to be tried: only its own where it is known, or the network takes hands of any roll."""
    rolls = ROLLS_DEG if upright and not box.turned else (0.0,)
    return [replace(box, roll_deg=box.roll_deg + roll_deg) for roll_deg in rolls]


def predict_crops(engine: Engine, requests: Sequence[CropRequest]) -> list[CropPrediction]:
    """The network's prediction for each request, all in one batch."""
    if not requests:
        return []
    size, axes = engine.manifest.crop_size, engine.manifest.axes
    crops = [HandCrop.cut(request.box, request.camera, request.image, size) for request in requests]
    cropped_ns = time.monotonic_ns()
    prediction = engine(np.stack([crop.image for crop in crops]))
    inferred_ns = time.monotonic_ns()
    return [
        CropPrediction(
            request,
            _with_pixel_share(
                ViewHand(
                    crop.view,
                    crop.side,
                    _in_camera_axes(prediction.joints[n], crop.camera, axes),
                    crop.camera.frame_from_crop(prediction.pixels[n]),
                    prediction.confidence[n].astype(float),
                    cropped_ns=cropped_ns,
                    inferred_ns=inferred_ns,
                ),
                None if prediction.pixel_sigma is None else prediction.pixel_sigma[n],
            ),
            None if prediction.presence is None else float(prediction.presence[n]),
            None if prediction.right is None else float(prediction.right[n]),
        )
        for n, (request, crop) in enumerate(zip(requests, crops, strict=True))
    ]


def _with_pixel_share(hand: ViewHand, pixel_sigma: np.ndarray | None) -> ViewHand:
    """The hand with standard deviations (21,) of its pixels, hands, where the network tells them."""
    return hand if pixel_sigma is None else replace(hand, pixel_share=pixel_sigma.astype(float) / shape_sigma(hand))


def predict_best_roll(engine: Engine, requests: Sequence[CropRequest]) -> list[CropPrediction]:
    """For each request of unknown roll, the most confident prediction over its roll hypotheses."""
    hypotheses = [roll_hypotheses(request.box, engine.manifest.upright) for request in requests]
    predictions = iter(
        predict_crops(
            engine, [replace(request, box=box) for request, boxes in zip(requests, hypotheses, strict=True) for box in boxes]
        )
    )
    return [max((next(predictions) for _ in boxes), key=lambda prediction: prediction.confidence) for boxes in hypotheses]


def refine_predictions(
    engine: Engine, predictions: Sequence[CropPrediction], limits: FitLimits = IN_STREAM
) -> list[CropPrediction]:
    """The same hands, predicted again where the box missed the hand, as long as that does not lower the confidence.

    With a network that tells presence, as long as a hand is there: its doubt differs between two boxes of one hand.
    """
    best, framing = list(predictions), Framing.of(engine.manifest)
    unfit = [number for number, prediction in enumerate(best) if _misses_hand(prediction, framing, limits)]
    for _ in range(MAX_PREDICTIONS - 1):
        refined = predict_crops(engine, [_fitted(best[number], framing) for number in unfit])
        better = [(number, new) for number, new in zip(unfit, refined, strict=True) if _is_as_good(new, best[number])]
        for number, new in better:
            best[number] = replace(new, hand=replace(new.hand, cropped_ns=best[number].hand.cropped_ns))
        unfit = [number for number, new in better if _misses_hand(new, framing, limits)]
    return best


def _is_as_good(new: CropPrediction, old: CropPrediction) -> bool:
    """Whether a hand predicted again in a box that fits it is to replace the old one."""
    if new.presence is None or old.presence is None:
        return new.confidence >= old.confidence
    return new.presence >= min(old.presence, MIN_PRESENCE)


def _misses_hand(prediction: CropPrediction, framing: Framing, limits: FitLimits) -> bool:
    """Whether the box misses the predicted hand by more than the limits."""
    box, pixels = prediction.box, prediction.hand.pixels
    centre, size = framing.box(pixels, box.roll_deg)
    if not np.isfinite(size) or size <= 0:
        return False
    shift = np.abs(centre - np.array(box.centre_px)).max() / box.size_px
    ratio = size / box.size_px
    rolled = abs((framing.roll(pixels, box.roll_deg) - box.roll_deg + 180) % 360 - 180)
    return bool(shift > limits.shift or not 1 / limits.size_ratio < ratio < limits.size_ratio or rolled > limits.roll_deg)


def _fitted(prediction: CropPrediction, framing: Framing) -> CropRequest:
    """The request whose box fits the predicted hand."""
    pixels = prediction.hand.pixels
    roll_deg = framing.roll(pixels, prediction.box.roll_deg)
    centre, size = framing.box(pixels, roll_deg)
    x, y = centre.tolist()
    box = replace(prediction.box, centre_px=(x, y), size_px=max(size, MIN_BOX_PX), roll_deg=roll_deg)
    return replace(prediction.request, box=box)


def _in_camera_axes(joints: np.ndarray, camera: CropCamera, axes: Literal["crop", "frame"]) -> np.ndarray:
    """Unit hand (21, 3) in the frame camera's axes from the network's joints (21, 3)."""
    joints = joints.astype(float)
    return unit_hand(camera.joints_in_frame(joints) if axes == "crop" else camera.unmirrored(joints))
