"""A data set's cameras are found from hands at any moments, whatever their lenses, and label what both views saw as one hand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapt.datasets.assembly_hands import AssemblyHands, HandPairs, TrueHand
from adapt.datasets.geometry import MIN_PAIRS, Labeller, calibrate_dataset
from adapt.datasets.predictions import DatasetPredictions, rotation_of
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.types import ViewHand

PAIR = (1, 2)


@pytest.fixture(scope="module")
def pairs(headset_set: Path) -> HandPairs:
    return AssemblyHands(headset_set).pairs(0, PAIR)


def looked(pairs: HandPairs, noise: float = 0.0, lens: Sequence[float] = (1.0,)) -> list[DatasetPredictions]:
    """What eyes would see that err by `noise` of a hand's length; every so many-th pair through a lens so many times as long."""
    random = np.random.default_rng(0)

    def seen(hand: TrueHand, camera: PinholeCamera) -> ViewHand:
        off = noise * random.normal(size=(2, 21, 3))
        spread = np.ptp(hand.pixels, axis=0).max() / 2
        pixels = camera.project(hand.joints_mm) + off[0, :, :2] * spread
        confidence = np.full(21, 0.9 if noise == 0 else 0.6)
        return ViewHand(hand.view, hand.side, unit_hand(hand.joints_mm) + off[1] - off[1, :1], pixels, confidence)

    found = []
    for number, pair in enumerate(pairs):
        factor = lens[number % len(lens)]
        cameras = pair.hands.map(lambda hand, factor=factor: replace(hand.camera, focal_px=factor * hand.camera.focal_px))
        hands = PerView.of(lambda view, pair=pair, cameras=cameras: seen(pair.hands[view], cameras[view]))
        boxes, crops = pair.hands.map(lambda hand: hand.box("given")), pair.hands.map(lambda hand: hand.crop(16))
        found.append(DatasetPredictions(number, cameras, crops, hands, boxes))
    return found


@pytest.mark.parametrize(("noise", "lens", "most_deg"), [(0.0, (1.0,), 0.5), (0.0, (1.0, 1.2), 0.5), (0.05, (1.0,), 2.0)])
def test_the_cameras_are_found_and_hands_are_where_they_are(pairs, noise, lens, most_deg):
    seen = looked(pairs, noise, lens)
    places, note = calibrate_dataset(seen)
    assert places is not None, note
    assert angle_deg(places.R_right_from_left, pairs[0].R_right_from_left) < most_deg
    label = Labeller(places)
    told = [label(one) for one in seen]
    assert sum(one is not None for one in told) > 0.8 * len(seen)
    for number, labels in enumerate(told):
        for view in VIEWS if labels else ():
            assert labels is not None
            off = labels[view].joints - unit_hand(pairs[number].hands[view].joints_mm)
            assert np.linalg.norm(off, axis=1).mean() < (0.05 if noise == 0 else 0.25)
            assert labels[view].camera == seen[number].cameras[view] and labels[view].side == pairs[number].side
    length_mm = np.linalg.norm(places.t_right_from_left_mm)
    true_mm = np.median([np.linalg.norm(_between(pairs, number)) / _size_mm(pairs, number) for number in range(len(pairs))])
    assert abs(length_mm / (true_mm * DEFAULT_HAND_SIZE_MM) - 1) < (0.05 if noise == 0 else 0.3)


def _size_mm(pairs: HandPairs, number: int) -> float:
    joints_mm = pairs[number].hands.left.joints_mm
    return float(np.linalg.norm(joints_mm[9] - joints_mm[0]))


def _between(pairs: HandPairs, number: int) -> np.ndarray:
    """(3,) mm from camera to camera."""
    pair = pairs[number]
    left, right = pair.hands.left.joints_mm, pair.hands.right.joints_mm
    return (right - left @ pair.R_right_from_left.T).mean(0)


def test_the_views_own_hands_tell_the_rotation(pairs):
    assert angle_deg(rotation_of(looked(pairs)), pairs[0].R_right_from_left) < 0.1


def test_few_hands_find_no_cameras(pairs):
    places, note = calibrate_dataset(looked(pairs)[: MIN_PAIRS - 1])
    assert places is None and f"{MIN_PAIRS - 1} pairs show the hand well" in note
    assert calibrate_dataset([]) == (None, "no hands were seen")


def test_views_of_different_hands_find_no_cameras_and_get_no_labels(pairs):
    seen = looked(pairs)
    places, _ = calibrate_dataset(seen)
    assert places is not None
    turned = from_vector(np.array([0.5, 0.9, 0.3]))

    def elsewhere(one: DatasetPredictions, view: View) -> DatasetPredictions:
        hand = one.hands[view]
        moved = replace(hand, pixels=hand.pixels[::-1] + 30.0, joints=hand.joints @ turned.T)
        return replace(one, hands=PerView.of(lambda which: moved if which == view else one.hands[which]))

    label = Labeller(places)
    assert [label(elsewhere(one, "right")) for one in seen[:6]] == [None] * 6
    shuffled = [replace(one, hands=PerView(one.hands.left, seen[-number].hands.right)) for number, one in enumerate(seen)]
    assert calibrate_dataset(shuffled)[0] is None
