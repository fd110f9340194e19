"""MediaPipe's network in our engines follows drawn hands as MediaPipe's own models do; its palms say where, and how turned."""

from dataclasses import replace

import numpy as np
import pytest

from capture.frames import FramePair
from capture.views import VIEWS, PerView
from hand.camera import PinholeCamera
from runtime.engines.names import EngineName
from runtime.estimators.adaptable import Adaptable
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import ANY_HAND, FollowSettings, Roi
from runtime.estimators.framing import palm_roll
from runtime.estimators.mediapipe import load_mediapipe
from runtime.estimators.mediapipe_3d import load_palm_locator
from runtime.estimators.registry import EstimatorOptions, load_estimator
from runtime.networks.mediapipe_base import base_weights
from tests.runtime.drawn_pairs import cameras, changed, drawn_pairs, true_pixels

pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
pytestmark = pytest.mark.usefixtures("mediapipe_models")


@pytest.fixture(scope="module")
def drawn() -> list[FramePair]:
    return drawn_pairs(8)


def load(pairs: list[FramePair], follow: FollowSettings = ANY_HAND, engine: EngineName = "torch") -> CropEstimator:
    """With the model as it was fetched."""
    options = EstimatorOptions(engine, base_weights("mediapipe"), threads=1, follow=follow)
    estimator = load_estimator("mediapipe-3d", options).make(cameras(pairs[0]).map(lambda camera: camera.size_px))
    assert isinstance(estimator, CropEstimator)
    return estimator


def follow_all(estimator: CropEstimator, pairs: list[FramePair]) -> list[PerView]:
    return [estimator(pair, cameras(pair)) for pair in pairs]


@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_the_hand_is_found_where_mediapipes_models_find_it(drawn, engine):
    theirs = load_mediapipe("mediapipe")
    estimator = load(drawn, engine=engine)
    assert isinstance(estimator, Adaptable)
    for pair, hands in zip(drawn, follow_all(estimator, drawn), strict=True):
        reference, true = theirs(pair, cameras(pair)), true_pixels(pair)
        for view in VIEWS:
            hand, other = hands[view], reference[view]
            assert hand is not None and other is not None and (hand.view, hand.side) == (view, "right")
            assert np.median(np.linalg.norm(hand.pixels - true[view], axis=1)) < 12
            assert np.median(np.linalg.norm(hand.pixels - other.pixels, axis=1)) < 4
            assert np.median(np.linalg.norm(hand.joints - other.joints, axis=1)) < 0.2
            assert hand.right_margin > 0.5 and np.shape(hand.pixel_share) == (21,)


def test_mirrored_pictures_show_the_other_hand(drawn):
    plain, mirrored = drawn, changed(drawn, lambda image: np.ascontiguousarray(image[:, ::-1]))
    for ours, others in zip(follow_all(load(drawn), plain), follow_all(load(drawn), mirrored), strict=True):
        for hand, other in zip(ours, others, strict=True):
            assert other.side == "left" and other.right_margin < -0.5
            # Left hands are predicted as right ones: the same picture, and so the same hand, mirrored.
            off = np.linalg.norm(other.joints * [-1, 1, 1] - hand.joints, axis=1)
            assert np.median(off) < 0.15


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_hand_of_any_roll_is_found_at_once(drawn, turns):
    pairs = changed(drawn[:3], lambda image: np.ascontiguousarray(np.rot90(image, turns)))
    upright, turned = follow_all(load(drawn), drawn[:3]), follow_all(load(pairs), pairs)
    for before, after in zip(upright, turned, strict=True):
        for hand, other in zip(before, after, strict=True):
            by = (palm_roll(hand.pixels) - palm_roll(other.pixels) - 90 * turns + 180) % 360 - 180
            assert other.side == "right" and abs(by) < 10


def test_an_empty_frame_ends_the_track_and_the_hand_is_found_again(drawn):
    estimator = load(drawn)
    first, second = follow_all(estimator, drawn[:2])
    assert all(hand is not None for hand in (*first, *second))
    (empty,) = follow_all(estimator, changed(drawn[2:3], np.zeros_like))
    assert empty == PerView(None, None)
    (again,) = follow_all(estimator, drawn[3:4])
    assert all(hand is not None for hand in again)


def test_a_roi_limits_the_search(drawn):
    around: PerView[Roi | None] = PerView(*((*pixels.mean(0).tolist(), 300.0) for pixels in true_pixels(drawn[0])))
    (inside,) = follow_all(load(drawn, FollowSettings(roi=around)), drawn[:1])
    assert all(hand is not None for hand in inside)
    away: PerView[Roi | None] = PerView((60.0, 420.0, 100.0), (60.0, 420.0, 100.0))
    assert follow_all(load(drawn, FollowSettings(roi=away)), drawn[:1]) == [PerView(None, None)]


def test_palms_give_turned_boxes_around_the_hand(drawn):
    locate = load_palm_locator()
    image, truth = drawn[0].left.image, true_pixels(drawn[0]).left
    (box, *_) = locate(image, "left")
    assert box.turned and box.view == "left" and abs(box.roll_deg - palm_roll(truth)) < 25
    assert np.linalg.norm(np.array(box.centre_px) - truth.mean(0)) < 0.3 * box.size_px
    assert locate(np.zeros_like(image), "left") == []


def test_the_crop_looks_at_the_hand_however_wide_the_lens(drawn):
    """Seen wide, a hand off the middle is turned away by as much more: in the camera's axes, not in the crop's."""
    pair = drawn[0]
    wide: PerView[PinholeCamera] = cameras(pair, 100.0)
    narrow = load(drawn)(pair, cameras(pair, 40.0)).left
    other = load(drawn)(pair, wide).left
    assert narrow is not None and other is not None
    np.testing.assert_allclose(narrow.pixels, other.pixels, atol=12)
    assert np.linalg.norm(narrow.joints - other.joints) > 0.1
    assert replace(narrow, joints=other.joints).side == other.side == "right"
