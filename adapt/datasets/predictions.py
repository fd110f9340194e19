"""What a network sees of a data set's hand pairs, from nothing but their boxes: crops, joints in both views, no frame.

The annotation says where a hand is and which hand it is, as in the published adaptation; its joints are not looked at. A network
that wants hands upright must find out how they are rolled. First each view by itself is shown its box in several turns, as the
program does with hands that it finds; all pairs' hands then tell how the cameras are turned to each other. Where two views
disagree, each is shown its box as the other view's hand is turned, and what both are surest of and agree on is kept. A network
of any roll is shown the box as it is given, once.
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
from runtime.estimators.tracker import roll_of
from runtime.geometry.rotation_estimator import RotationEstimator
from runtime.types import HandBox, ViewHand

AT_ONCE = 8
"""Pairs whose pictures are held at a time."""
AGREEING = 0.4
"""Hands; views whose joints are no farther apart saw the same hand."""
DISAGREEMENT = 0.6
"""What a hand's length between two views' joints counts against confidence."""
FAR = 5.0
"""Hands; a hand at arm's length, for its look in perspective."""


@dataclass(frozen=True, slots=True)
class DatasetPredictions:
    """One hand as the network saw it in both views."""

    number: int
    """Of the pair in the data set."""
    cameras: PerView[PinholeCamera]
    crops: PerView[HandCrop]
    """Where it was last looked at."""
    hands: PerView[ViewHand]
    boxes: PerView[HandBox]


def predict_pairs(engine: Engine, pairs: HandPairs, numbers: Sequence[int], doing: str) -> list[DatasetPredictions]:
    """Those numbered `numbers`. Raises UserError for a picture that cannot be read."""
    looked: list[DatasetPredictions] = []
    with tqdm(desc=doing, unit="pair", total=len(numbers)) as bar:
        for some in _batches(numbers):
            looked += _kept(engine, some, pairs, _each_by_itself)
            bar.update(len(some))
    doubtful = [place for place, one in enumerate(looked) if engine.manifest.upright and len(looked) > 1]
    if not doubtful:
        return looked
    R = rotation_of(looked)
    doubtful = [place for place in doubtful if _apart(looked[place].hands, R) > AGREEING]
    with tqdm(desc=f"{doing}, again where views disagree", unit="pair", total=len(doubtful)) as bar:
        for some in _batches(doubtful):
            before = [looked[place] for place in some]
            again = _kept(engine, [one.number for one in before], pairs, _as_the_other_view(before, R))
            for place, one in zip(some, again, strict=True):
                looked[place] = one
            bar.update(len(some))
    return looked


def rotation_of(looked: Sequence[DatasetPredictions]) -> np.ndarray:
    """(3, 3) R_right_from_left that the views' own hands tell, the most varied of them."""
    estimator = RotationEstimator()
    for one in looked:
        left, right = one.hands
        # All at one time: no pair is older than another.
        estimator.update(0, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
    if estimator.rotation is None:
        raise UserError("no hand was seen that tells how the cameras are turned: give more pairs with --pic")
    return estimator.rotation


def crops_of(looked: Sequence[DatasetPredictions]) -> CropPairs:
    """Their crops, to learn from or to judge by."""
    return CropPairs.of([one.crops for one in looked])


def _batches(items: Sequence[int]) -> Iterator[Sequence[int]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _kept(
    engine: Engine,
    numbers: Sequence[int],
    pairs: HandPairs,
    see: Callable[[Engine, list[PerView[CropRequest]]], list[PerView[CropPrediction]]],
) -> list[DatasetPredictions]:
    """What is seen of some pairs, without their pictures."""
    true = [pairs[number] for number in numbers]
    answers = see(engine, [pair.hands.map(_place) for pair in true])
    return [
        DatasetPredictions(
            number,
            pair.hands.map(lambda hand: hand.camera),
            both.map(lambda answer: _crop(answer, engine.manifest.crop_size)),
            both.map(lambda answer: answer.hand),
            both.map(lambda answer: answer.box),
        )
        for number, pair, both in zip(numbers, true, answers, strict=True)
    ]


def _each_by_itself(engine: Engine, places: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
    flat = [place for both in places for place in both]
    answers = (
        refine_predictions(engine, predict_best_roll(engine, flat)) if engine.manifest.upright else predict_crops(engine, flat)
    )
    return [PerView(left, right) for left, right in zip(answers[::2], answers[1::2], strict=True)]


def _as_the_other_view(
    before: Sequence[DatasetPredictions], R_right_from_left: np.ndarray
) -> Callable[[Engine, list[PerView[CropRequest]]], list[PerView[CropPrediction]]]:
    """A look at places as the other view's hand of `before` is turned; of these answers and those before, the best two."""

    def see(engine: Engine, places: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
        turned: list[PerView[CropRequest]] = []
        for one, both in zip(before, places, strict=True):
            across = PerView(one.hands.right.joints @ R_right_from_left, one.hands.left.joints @ R_right_from_left.T)
            turned.append(PerView.of(lambda view, both=both, across=across: _turned(both[view], across[view])))
        told = _again(engine, turned)
        known = [
            PerView.of(lambda view, one=one, both=both: _known(one, view, both)) for one, both in zip(before, places, strict=True)
        ]
        return [_best(old, new, R_right_from_left) for old, new in zip(known, told, strict=True)]

    return see


def _again(engine: Engine, places: list[PerView[CropRequest]]) -> list[PerView[CropPrediction]]:
    answers = refine_predictions(engine, predict_crops(engine, [place for both in places for place in both]))
    return [PerView(left, right) for left, right in zip(answers[::2], answers[1::2], strict=True)]


def _known(one: DatasetPredictions, view: View, places: PerView[CropRequest]) -> CropPrediction:
    """What was seen before, with its picture again."""
    return CropPrediction(replace(places[view], box=one.boxes[view]), one.hands[view])


def _best(old: PerView[CropPrediction], new: PerView[CropPrediction], R_right_from_left: np.ndarray) -> PerView[CropPrediction]:
    """Of each view's two answers those that both are surest of and that agree best."""

    def worth(both: PerView[CropPrediction]) -> float:
        return (
            both.left.confidence
            + both.right.confidence
            - DISAGREEMENT * _apart(both.map(lambda answer: answer.hand), R_right_from_left)
        )

    return max((PerView(left, right) for left in (old.left, new.left) for right in (old.right, new.right)), key=worth)


def _apart(hands: PerView[ViewHand], R_right_from_left: np.ndarray) -> float:
    """Mean distance of two views' joints through the rotation, hands."""
    return float(np.linalg.norm(hands.left.joints @ R_right_from_left.T - hands.right.joints, axis=-1).mean())


def _turned(place: CropRequest, joints: np.ndarray) -> CropRequest:
    """The place as a hand of `joints` (21, 3), camera's axes, would be rolled there."""
    ray = place.camera.rays(np.array(place.box.centre_px))
    roll_deg = roll_of(place.camera.project(joints + FAR * ray))
    return replace(place, box=replace(place.box, roll_deg=roll_deg))


def _place(hand: TrueHand) -> CropRequest:
    return CropRequest(hand.box("given"), hand.camera, hand.read())


def _crop(answer: CropPrediction, size: int) -> HandCrop:
    place = answer.request
    return HandCrop.cut(place.box, place.camera, place.image, size)
