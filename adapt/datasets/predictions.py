"""A network's predictions for a data set's hand pairs, from the annotated boxes alone: crops, and joints in both views.

The annotation says where a hand is and which hand it is, as in the published adaptation; its joints are not used. A network for
upright hands needs their roll. First each view alone is predicted with several roll hypotheses, as the program does for hands
that it finds; all pairs then give the rotation between the cameras. Where two views disagree, each is predicted again with the
roll of the other view's hand, and the predictions that are surest of the hand and agree most are kept. A network for any roll
predicts once, from the box as given.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from adapt.core.crop_pairs import CropPairs
from adapt.datasets.assembly_hands import HandPairs, TrueHand
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.engines.engine import Engine
from runtime.estimators.crop import HandCrop
from runtime.estimators.crop_prediction import CropPrediction, CropRequest, predict_best_roll, predict_crops, refine_predictions
from runtime.estimators.framing import Framing
from runtime.geometry.rotation_estimator import RotationEstimator
from runtime.types import HandBox, ViewHand

AT_ONCE = 8
"""Pairs whose images are held at a time."""
AGREEING = 0.4
"""Hands; views whose joints are no farther apart agree."""
DISAGREEMENT = 0.6
"""What a hand's length between two views' joints counts against how sure they are."""
FAR = 5.0
"""Hands; distance of a hand at arm's length, for its projection."""


@dataclass(frozen=True, slots=True)
class HandTold:
    """What a network tells of a crop besides its joints, as in `CropPrediction`."""

    presence: float | None = None
    same_side: float | None = None


@dataclass(frozen=True, slots=True)
class DatasetPredictions:
    """One hand as the network saw it in both views."""

    number: int
    """Of the pair in the data set."""
    cameras: PerView[PinholeCamera]
    crops: PerView[HandCrop]
    """Those of the final predictions."""
    hands: PerView[ViewHand]
    boxes: PerView[HandBox]
    told: PerView[HandTold] = PerView(HandTold(), HandTold())


def predict_pairs(engine: Engine, pairs: HandPairs, numbers: Sequence[int], doing: str) -> list[DatasetPredictions]:
    """Those numbered `numbers`. Raises UserError for a picture that cannot be read."""
    predictions: list[DatasetPredictions] = []
    with tqdm(desc=doing, unit="pair", total=len(numbers)) as bar:
        for some in _batches(numbers):
            predictions += _predict_some(engine, some, pairs, _each_view_alone)
            bar.update(len(some))
    doubtful = [number for number, one in enumerate(predictions) if engine.manifest.upright and len(predictions) > 1]
    if not doubtful:
        return predictions
    R = rotation_of(predictions)
    doubtful = [number for number in doubtful if _apart(predictions[number].hands, R) > AGREEING]
    with tqdm(desc=f"{doing}, again where views disagree", unit="pair", total=len(doubtful)) as bar:
        for some in _batches(doubtful):
            before = [predictions[number] for number in some]
            again = _predict_some(engine, [one.number for one in before], pairs, _as_the_other_view(before, R))
            for number, one in zip(some, again, strict=True):
                predictions[number] = one
            bar.update(len(some))
    return predictions


def rotation_of(predictions: Sequence[DatasetPredictions]) -> np.ndarray:
    """(3, 3) R_right_from_left that the views' own hands tell, the most varied of them."""
    estimator = RotationEstimator()
    for one in predictions:
        left, right = one.hands
        # All at one time: no pair is older than another.
        estimator.update(0, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
    if estimator.rotation is None:
        raise UserError("no hand was seen that tells how the cameras are turned: give more pairs with --pic")
    return estimator.rotation


def crops_of(predictions: Sequence[DatasetPredictions]) -> CropPairs:
    """Their crops as a batch."""
    return CropPairs.of([one.crops for one in predictions])


def _batches(items: Sequence[int]) -> Iterator[Sequence[int]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _predict_some(
    engine: Engine,
    numbers: Sequence[int],
    pairs: HandPairs,
    predict: Callable[[Engine, list[PerView[CropRequest]]], list[PerView[CropPrediction]]],
) -> list[DatasetPredictions]:
    """What is seen of some pairs, without their pictures."""
    true = [pairs[number] for number in numbers]
    found = predict(engine, [pair.hands.map(_request) for pair in true])
    return [
        DatasetPredictions(
            number,
            pair.hands.map(lambda hand: hand.camera),
            both.map(lambda prediction: _crop(prediction, engine.manifest.crop_size)),
            both.map(lambda prediction: prediction.hand),
            both.map(lambda prediction: prediction.box),
            both.map(lambda prediction: HandTold(prediction.presence, prediction.same_side)),
        )
        for number, pair, both in zip(numbers, true, found, strict=True)
    ]


def _each_view_alone(engine: Engine, requests: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
    flat = [request for both in requests for request in both]
    found = (
        refine_predictions(engine, predict_best_roll(engine, flat)) if engine.manifest.upright else predict_crops(engine, flat)
    )
    return [PerView(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]


def _as_the_other_view(
    before: Sequence[DatasetPredictions], R_right_from_left: np.ndarray
) -> Callable[[Engine, list[PerView[CropRequest]]], list[PerView[CropPrediction]]]:
    """A function that predicts with the roll of the other view's hand in `before`, and keeps the best two of both rounds."""

    def predict(engine: Engine, requests: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
        turned: list[PerView[CropRequest]] = []
        framing = Framing.of(engine.manifest)
        for one, both in zip(before, requests, strict=True):
            across = PerView(one.hands.right.joints @ R_right_from_left, one.hands.left.joints @ R_right_from_left.T)
            turned.append(PerView.of(lambda view, both=both, across=across: _turned(both[view], across[view], framing)))
        new = _predict_again(engine, turned)
        known = [
            PerView.of(lambda view, one=one, both=both: _known(one, view, both))
            for one, both in zip(before, requests, strict=True)
        ]
        return [_best(old, new, R_right_from_left) for old, new in zip(known, new, strict=True)]

    return predict


def _predict_again(engine: Engine, requests: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
    found = refine_predictions(engine, predict_crops(engine, [request for both in requests for request in both]))
    return [PerView(left, right) for left, right in zip(found[::2], found[1::2], strict=True)]


def _known(one: DatasetPredictions, view: View, requests: PerView[CropRequest]) -> CropPrediction:
    """What was seen before, with its picture again."""
    told = one.told[view]
    return CropPrediction(replace(requests[view], box=one.boxes[view]), one.hands[view], told.presence, told.same_side)


def _best(old: PerView[CropPrediction], new: PerView[CropPrediction], R_right_from_left: np.ndarray) -> PerView[CropPrediction]:
    """One prediction of each view: those that are surest of the hand, and agree most."""

    def worth(both: PerView[CropPrediction]) -> float:
        apart = _apart(both.map(lambda prediction: prediction.hand), R_right_from_left)
        return both.left.surely_it + both.right.surely_it - DISAGREEMENT * apart

    return max((PerView(left, right) for left in (old.left, new.left) for right in (old.right, new.right)), key=worth)


def _apart(hands: PerView[ViewHand], R_right_from_left: np.ndarray) -> float:
    """Mean distance of two views' joints through the rotation, hands."""
    return float(np.linalg.norm(hands.left.joints @ R_right_from_left.T - hands.right.joints, axis=-1).mean())


def _turned(request: CropRequest, joints: np.ndarray, framing: Framing) -> CropRequest:
    """The request with the roll that a hand of `joints` (21, 3), camera's axes, would have there."""
    ray = request.camera.rays(np.array(request.box.centre_px))
    roll_deg = framing.standing(request.camera.project(joints + FAR * ray))
    return replace(request, box=replace(request.box, roll_deg=roll_deg))


def _request(hand: TrueHand) -> CropRequest:
    return CropRequest(hand.box("given"), hand.camera, hand.read())


def _crop(prediction: CropPrediction, size: int) -> HandCrop:
    request = prediction.request
    return HandCrop.cut(request.box, request.camera, request.image, size)
