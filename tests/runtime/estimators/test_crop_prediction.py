"""A second look fits the box to the hand that was seen, and is taken only where it is no less sure."""

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
from runtime.estimators.tracker import box_around, roll_of
from runtime.networks.weights import Manifest
from runtime.types import HandBox
from tests.runtime.hands import flexed_hand

CAMERA = PinholeCamera.from_fov(320, 240, 60)
IMAGE = np.zeros((240, 320, 3), np.uint8)
HAND = unit_hand(flexed_hand(0.3))


class Fixed:
    """An engine that sees the same hand in every crop: the answer `pixels` (21, 2) of the crop, ever more or less sure."""

    description = "fixed"

    def __init__(self, pixels: np.ndarray, *, upright: bool, surer: float = 0.01):
        self.manifest = Manifest(
            architecture="detnet", root=0, crop_size=64, map_size=8, axes="crop", upright=upright, training_data="none"
        )
        self.calls = 0
        self._pixels, self._surer = pixels, surer

    def __call__(self, images: np.ndarray) -> Predictions:
        self.calls += 1
        n = len(images)
        sure = np.full((n, 21), 0.5 + self._surer * self.calls)
        return Predictions(np.repeat(HAND[None], n, 0), np.repeat(self._pixels[None], n, 0), sure)


def standing(roll_deg: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """(21, 2) a hand in a crop of 64 px: upright, in the middle and as large as a box says, but for what is given."""
    random = np.random.default_rng(0).uniform(-1, 1, (21, 2))
    random[0], random[list(FINGER_MCPS)] = [0, 1], [0, -0.2]
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    turned = random @ np.array([[cos, -sin], [sin, cos]]).T
    centre, size = box_around(turned)
    return (turned - centre) * (64 / size) * scale + 31.5 + 64 * np.array(shift)


def place(side: str = "right", roll_deg: float = 0.0) -> CropRequest:
    return CropRequest(HandBox("left", side, (159.5, 119.5), 100.0, 1.0, roll_deg), CAMERA, IMAGE)  # pyright: ignore[reportArgumentType]


def test_nothing_is_asked_of_no_places():
    engine = Fixed(standing(), upright=True)
    assert predict_crops(engine, []) == [] and refine_predictions(engine, []) == [] and engine.calls == 0


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("roll_deg", [0.0, 100.0])
def test_answers_come_back_in_the_frame_and_its_cameras_axes(side, roll_deg):
    where = place(side, roll_deg)
    (answer,) = predict_crops(Fixed(standing(), upright=True), [where])
    camera = CropCamera.looking_at(where.box, CAMERA, 64)
    np.testing.assert_allclose(camera.crop_from_frame(answer.hand.pixels), standing(), atol=1e-9)
    np.testing.assert_allclose(camera.joints_in_crop(answer.hand.joints), HAND, atol=1e-9)
    assert answer.hand.side == side and answer.confidence == pytest.approx(0.51)


def test_of_a_first_looks_turns_the_surest_is_taken_for_each_place():
    class Upside(Fixed):
        """Surest where a crop's second turn comes, of the three of each place."""

        def __call__(self, images: np.ndarray) -> Predictions:
            answer = super().__call__(images)
            answer.confidence[:] = np.tile([0.2, 0.6, 0.4], len(images) // 3)[:, None]
            return answer

    answers = predict_best_roll(Upside(standing(), upright=True), [place(), place(roll_deg=10.0)])
    assert [answer.box.roll_deg for answer in answers] == [ROLLS_DEG[1], ROLLS_DEG[1] + 10]
    (plain,) = predict_best_roll(Fixed(standing(), upright=False), [place()])
    assert plain.box == place().box


def test_a_box_that_fits_is_looked_at_once():
    engine = Fixed(standing(10, 1.1, (0.05, -0.05)), upright=True)
    answers = refine_predictions(engine, predict_crops(engine, [place()]))
    assert engine.calls == 1 and answers[0].box == place().box


@pytest.mark.parametrize(
    ("pixels", "upright"), [(standing(shift=(0.3, 0)), False), (standing(scale=0.6), False), (standing(roll_deg=60), True)]
)
def test_a_box_that_does_not_fit_is_moved_to_the_hand(pixels, upright):
    engine = Fixed(pixels, upright=upright)
    first = predict_crops(engine, [place()])
    (answer,) = refine_predictions(engine, first)
    # It sees the same wherever it looks, so it never comes to rest: so often and no more.
    assert engine.calls == MAX_PREDICTIONS and answer.confidence > first[0].confidence
    second = Fixed(pixels, upright=upright, surer=-0.01)
    (kept,) = refine_predictions(second, predict_crops(second, [place()]))
    assert second.calls == 2 and kept.box == place().box, "less sure, so the first look holds"


def test_the_second_box_holds_the_hand_upright():
    engine = Fixed(standing(roll_deg=60, shift=(0.2, 0.1)), upright=True)
    first = predict_crops(engine, [place()])
    (answer,) = refine_predictions(Fixed(standing(), upright=True, surer=0.5), first)
    box, seen = answer.box, first[0].hand.pixels
    assert box.roll_deg == pytest.approx(roll_of(seen)) == pytest.approx(60, abs=3)
    centre, size = box_around(seen, box.roll_deg)
    np.testing.assert_allclose(box.centre_px, centre)
    assert box.size_px == pytest.approx(size)


def test_a_network_that_does_not_ask_for_it_is_not_shown_hands_upright():
    engine = Fixed(standing(roll_deg=60), upright=False)
    refine_predictions(engine, predict_crops(engine, [place()]))
    assert engine.calls == 1
