"""Refinement fits the box to the predicted hand, and is kept only where the confidence is not lower."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hand.camera import PinholeCamera
from hand.joints import FINGER_MCPS, unit_hand
from runtime.engines.engine import Predictions
from runtime.estimators.crop import CropCamera
from runtime.estimators.crop_prediction import (
    MAX_PREDICTIONS,
    ROLLS_DEG,
    CropRequest,
    predict_best_roll,
    predict_crops,
    refine_predictions,
)
from runtime.estimators.framing import box_around, roll_of
from runtime.networks.weights import Manifest
from runtime.types import HandBox
from tests.runtime.hands import flexed_hand

CAMERA = PinholeCamera.from_fov(320, 240, 60)
IMAGE = np.zeros((240, 320, 3), np.uint8)
HAND = unit_hand(flexed_hand(0.3))


class FixedEngine:
    """Engine that predicts the same `pixels` (21, 2) for every crop; its confidence changes by a step with each call."""

    description = "fixed"

    def __init__(self, pixels: np.ndarray, *, upright: bool, confidence_step: float = 0.01):
        self.manifest = Manifest(
            architecture="detnet", root=0, crop_size=64, map_size=8, axes="crop", upright=upright, training_data="none"
        )
        self.calls = 0
        self._pixels, self._confidence_step = pixels, confidence_step

    def __call__(self, images: np.ndarray) -> Predictions:
        self.calls += 1
        n = len(images)
        sure = np.full((n, 21), 0.5 + self._confidence_step * self.calls)
        return Predictions(np.repeat(HAND[None], n, 0), np.repeat(self._pixels[None], n, 0), sure)


def standing(roll_deg: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """(21, 2) px of a hand in a crop of 64 px: upright, centred and of the box's size, changed by the arguments."""
    random = np.random.default_rng(0).uniform(-1, 1, (21, 2))
    random[0], random[list(FINGER_MCPS)] = [0, 1], [0, -0.2]
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    turned = random @ np.array([[cos, -sin], [sin, cos]]).T
    centre, size = box_around(turned)
    return (turned - centre) * (64 / size) * scale + 31.5 + 64 * np.array(shift)


def request(side: str = "right", roll_deg: float = 0.0) -> CropRequest:
    return CropRequest(HandBox("left", side, (159.5, 119.5), 100.0, 1.0, roll_deg), CAMERA, IMAGE)  # pyright: ignore[reportArgumentType]


def test_no_requests_run_no_inference():
    engine = FixedEngine(standing(), upright=True)
    assert predict_crops(engine, []) == [] and refine_predictions(engine, []) == [] and engine.calls == 0


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("roll_deg", [0.0, 100.0])
def test_predictions_are_in_frame_pixels_and_camera_axes(side, roll_deg):
    where = request(side, roll_deg)
    (prediction,) = predict_crops(FixedEngine(standing(), upright=True), [where])
    camera = CropCamera.looking_at(where.box, CAMERA, 64)
    np.testing.assert_allclose(camera.crop_from_frame(prediction.hand.pixels), standing(), atol=1e-9)
    np.testing.assert_allclose(camera.joints_in_crop(prediction.hand.joints), HAND, atol=1e-9)
    assert prediction.hand.side == side and prediction.confidence == pytest.approx(0.51)


def test_most_confident_roll_hypothesis_is_taken_for_each_request():
    class SecondRollEngine(FixedEngine):
        """Most confident for the second of three roll hypotheses."""

        def __call__(self, images: np.ndarray) -> Predictions:
            prediction = super().__call__(images)
            prediction.confidence[:] = np.tile([0.2, 0.6, 0.4], len(images) // 3)[:, None]
            return prediction

    predictions = predict_best_roll(SecondRollEngine(standing(), upright=True), [request(), request(roll_deg=10.0)])
    assert [prediction.box.roll_deg for prediction in predictions] == [ROLLS_DEG[1], ROLLS_DEG[1] + 10]
    (plain,) = predict_best_roll(FixedEngine(standing(), upright=False), [request()])
    assert plain.box == request().box


def test_a_fitting_box_is_predicted_once():
    engine = FixedEngine(standing(10, 1.1, (0.05, -0.05)), upright=True)
    predictions = refine_predictions(engine, predict_crops(engine, [request()]))
    assert engine.calls == 1 and predictions[0].box == request().box


@pytest.mark.parametrize(
    ("pixels", "upright"), [(standing(shift=(0.3, 0)), False), (standing(scale=0.6), False), (standing(roll_deg=60), True)]
)
def test_a_box_that_does_not_fit_is_moved_to_the_hand(pixels, upright):
    engine = FixedEngine(pixels, upright=upright)
    first = predict_crops(engine, [request()])
    (prediction,) = refine_predictions(engine, first)
    # It predicts the same for every box, so refinement stops at the maximum only.
    assert engine.calls == MAX_PREDICTIONS and prediction.confidence > first[0].confidence
    second = FixedEngine(pixels, upright=upright, confidence_step=-0.01)
    (kept,) = refine_predictions(second, predict_crops(second, [request()]))
    assert second.calls == 2 and kept.box == request().box, "less confident, so the first prediction is kept"


def test_refined_box_has_the_roll_of_the_hand():
    engine = FixedEngine(standing(roll_deg=60, shift=(0.2, 0.1)), upright=True)
    first = predict_crops(engine, [request()])
    (prediction,) = refine_predictions(FixedEngine(standing(), upright=True, confidence_step=0.5), first)
    box, seen = prediction.box, first[0].hand.pixels
    assert box.roll_deg == pytest.approx(roll_of(seen)) == pytest.approx(60, abs=3)
    centre, size = box_around(seen, box.roll_deg)
    np.testing.assert_allclose(box.centre_px, centre)
    assert box.size_px == pytest.approx(size)


def test_roll_is_not_refined_for_a_network_without_upright_crops():
    engine = FixedEngine(standing(roll_deg=60), upright=False)
    refine_predictions(engine, predict_crops(engine, [request()]))
    assert engine.calls == 1


@pytest.mark.parametrize(("presence", "refined"), [(0.9, True), (0.4, False)])
def test_with_a_network_that_tells_presence_doubt_keeps_no_worse_box(presence, refined):
    class TellingEngine(FixedEngine):
        """The hand is there in the first box; `presence` in all later ones. Its doubt grows."""

        def __call__(self, images: np.ndarray) -> Predictions:
            told = super().__call__(images)
            there = np.full(len(images), 0.95 if self.calls == 1 else presence)
            return replace(told, presence=there, right=np.ones(len(images)))

    engine = TellingEngine(standing(shift=(0.3, 0)), upright=True, confidence_step=-0.01)
    engine.manifest = msgspec.structs.replace(engine.manifest, architecture="mediapipe-landmarks")
    (prediction,) = refine_predictions(engine, predict_crops(engine, [request()]))
    assert (prediction.box != request().box) == refined and engine.calls == (MAX_PREDICTIONS if refined else 2)
