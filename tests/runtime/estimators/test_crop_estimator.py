"""From frames to each view's true hand, by an engine that finds out from a crop's pixels where it looks and answers the truth."""

from typing import Literal

import cv2
import numpy as np
import pytest
import torch

from capture.frames import FramePair
from capture.views import VIEWS, PerView, View, other
from hand.errors import UserError
from hand.joints import unit_hand
from runtime.engines.engine import Predictions
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop import CropCamera
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS, Estimator, FollowSettings
from runtime.estimators.tracker import box_around, roll_of
from runtime.networks.detnet import DetNet
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from runtime.types import HandBox, Side
from tests.runtime.scenes import BLUE, CAMERAS, FRAME_NS, SIZES_PX, Scene

SIZE = 64
EXACT = 3e-3
"""How well the crop can be told from pixels of eight bits, in unit hands."""


class Finder:
    """The locator that finds a scene's hand, somewhat beside its place."""

    def __init__(self, scene: Scene):
        self.asked: list[View] = []
        self.called: dict[View, tuple[Side, float]] = {"left": (scene.side, 0.9), "right": (scene.side, 0.8)}
        """Which hand it takes it for, and its score."""
        self.decoy = False
        """Whether it is surer of a place without a hand."""
        self._scene = scene

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        self.asked.append(view)
        if view in self._scene.hidden:
            return []
        (x, y), size = box_around(self._scene.pixels(view))
        side, score = self.called[view]
        boxes = [HandBox(view, side, (x + 5, y - 4), 1.2 * size, score)]
        if self.decoy:
            beside = x + (1 if x < CAMERAS[view].size_px[0] / 2 else -1) * 1.2 * size
            boxes.insert(0, HandBox(view, side, (beside, y), 0.8 * size, 0.99))
        return boxes


class Oracle:
    """The engine that answers from the truth: what a perfect network would."""

    description = "truth"

    def __init__(self, scene: Scene, axes: Literal["crop", "frame"] = "crop", *, upright: bool = False):
        self.manifest = Manifest(
            architecture="detnet",
            root=0,
            crop_size=SIZE,
            map_size=16,
            axes=axes,
            upright=upright,
            training_data="the truth itself",
        )
        self.sure = 0.9
        """Its confidence in a hand that it sees."""
        self.batches: list[int] = []
        self.rolls: list[float] = []
        """Of the hands in the crops, degrees clockwise."""
        self._scene = scene

    def __call__(self, images: np.ndarray) -> Predictions:
        self.batches.append(len(images))
        answers = [self._answer(image) for image in images]
        joints, pixels, confidence = (np.stack(part).astype(np.float32) for part in zip(*answers, strict=True))
        return Predictions(joints, pixels, confidence)

    def _answer(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        view: View = "left" if np.median(image[..., 2]) == BLUE.left else "right"
        camera = camera_of(image, view)
        points = self._scene.joints(view)
        in_axes = camera.joints_in_crop(points) if self.manifest.axes == "crop" else camera.unmirrored(points)
        # Like a network, it knows right hands only: a crop mirrored the wrong way makes it doubt.
        sure = self.sure if camera.mirror == (self._scene.side == "left") else self.sure - 0.2
        pixels = camera.crop_from_frame(self._scene.pixels(view))
        self.rolls.append(roll_of(pixels))
        seen = view not in self._scene.hidden and ((pixels > -SIZE / 4) & (pixels < 1.25 * SIZE)).all()
        return unit_hand(in_axes), pixels, np.full(21, sure if seen else 0.0)


def camera_of(image: np.ndarray, view: View) -> CropCamera:
    """The camera that cut a crop out of a frame of coordinates."""
    inside = image[..., 2] == BLUE[view]
    crop_pixels = np.argwhere(inside)[:, ::-1].astype(float)
    frame_pixels = image[inside][:, :2] * np.array(CAMERAS[view].size_px) / 255
    H = cv2.findHomography(crop_pixels, frame_pixels)[0]
    middle = np.full(2, (SIZE - 1) / 2)
    around = cv2.perspectiveTransform((middle + np.array([[0, 0], [0.5, 0], [0, 0.5]]))[None], H)[0]
    area = np.linalg.det(around[1:] - around[0]) / 0.25
    mirror = bool(area < 0)

    def camera(roll_deg: float) -> CropCamera:
        return CropCamera.at(CAMERAS[view], around[0], np.sqrt(abs(area)) * SIZE, SIZE, mirror=mirror, roll_deg=roll_deg)

    unrolled = camera(0.0).crop_from_frame(around)
    x, y = unrolled[2] - unrolled[0]
    return camera(float(np.degrees(np.arctan2(x if mirror else -x, y))))


def check(estimate: Estimator, scene: Scene) -> None:
    """Both views' hands are the true ones, in place, shape and side."""
    for view, hand in estimate(scene.pair(), CAMERAS).items():
        assert hand is not None and (hand.view, hand.side) == (view, scene.side)
        np.testing.assert_allclose(hand.joints, scene.truth(view), atol=EXACT)
        np.testing.assert_allclose(hand.pixels, scene.pixels(view), atol=0.5)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("axes", ["crop", "frame"])
def test_a_perfect_network_gives_the_true_hand(side, axes):
    scene = Scene(side)
    finder, oracle = Finder(scene), Oracle(scene, axes)
    estimate = CropEstimator(oracle, finder, SIZES_PX)
    for scene.seq in range(20):
        check(estimate, scene)
    assert finder.asked == ["left", "right"], "after the first pair the hand is tracked"
    assert oracle.batches == [4] * 12 + [2] * 7 + [4], "both views run in one batch, at first and now and then both ways"


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_network_that_wants_hands_upright_is_shown_them_so(side):
    scene = Scene(side)
    scene.roll = 2.0
    oracle = Oracle(scene, upright=True)
    estimate = CropEstimator(oracle, Finder(scene), SIZES_PX)
    for scene.seq in range(14):
        check(estimate, scene)
        if scene.seq == 0:
            # The locator knows no roll: each box is tried turned three ways, of which one is near enough to find the hand's own.
            assert oracle.batches == [12, 2] and max(abs(roll) for roll in oracle.rolls[:12]) > 25
            assert max(abs(roll) for roll in oracle.rolls[12:]) < 3
            oracle.rolls.clear()
    assert max(abs(roll) for roll in oracle.rolls) < 25 and oracle.batches[2:] == [4] * 11 + [2] * 2


@pytest.mark.parametrize("hidden", ["left", "right"])
def test_a_view_that_sees_the_hand_again_finds_it_again(hidden):
    scene = Scene()
    estimate = CropEstimator(Oracle(scene), Finder(scene), SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)
    scene.hidden = {hidden}
    for scene.seq in range(3, 6):
        assert [view for view, hand in estimate(scene.pair(), CAMERAS).items() if hand is None] == [hidden]
    scene.hidden = {"left", "right"}
    assert estimate(scene.pair(), CAMERAS) == PerView(None, None)
    scene.hidden = set()
    check(estimate, scene)


@pytest.mark.parametrize("gone", ["left", "right"])
def test_a_camera_that_is_gone_is_not_looked_at_and_searched_anew_when_it_is_back(gone):
    scene = Scene()
    finder, oracle = Finder(scene), Oracle(scene)
    estimate = CropEstimator(oracle, finder, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)
    finder.asked.clear()
    for scene.seq in range(3, 6):
        pair = scene.pair()
        stand_in = pair[gone].stand_in(pair[other(gone)])
        seen = estimate(FramePair(*(stand_in if view == gone else pair[view] for view in VIEWS)), CAMERAS)
        assert [view for view, hand in seen.items() if hand is None] == [gone]
    assert not finder.asked
    check(estimate, scene)
    assert finder.asked == [gone]


@pytest.mark.parametrize("called", ["left", "right"])
def test_the_network_says_which_hand_it_is_whatever_the_locator_called_it(called):
    scene = Scene("left")
    finder = Finder(scene)
    finder.called = {"left": ("right", 0.6), "right": (called, 0.8)}
    estimate = CropEstimator(Oracle(scene), finder, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)


@pytest.mark.parametrize(("away_ns", "same"), [(HANDEDNESS_TIMEOUT_NS // 2, True), (2 * HANDEDNESS_TIMEOUT_NS, False)])
def test_after_a_long_absence_the_next_hand_may_be_the_other_one(away_ns, same):
    scene = Scene("right")
    finder, oracle = Finder(scene), Oracle(scene)
    estimate = CropEstimator(oracle, finder, SIZES_PX)
    for scene.seq in range(5):
        check(estimate, scene)
    scene.hidden = {"left", "right"}
    scene.seq += away_ns // FRAME_NS
    estimate(scene.pair(), CAMERAS)
    # The other hand comes, but not so clearly that one pair would overrule what five said.
    scene.hidden, scene.side, oracle.sure = set(), "left", 0.5
    finder.called = {"left": ("left", 0.9), "right": ("left", 0.9)}
    scene.seq += 1
    for hand in estimate(scene.pair(), CAMERAS):
        assert hand is not None and hand.side == ("right" if same else "left")


def test_of_two_places_the_one_with_the_hand_is_taken():
    scene = Scene()
    finder = Finder(scene)
    finder.decoy = True
    estimate = CropEstimator(Oracle(scene), finder, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)


def test_a_view_that_is_told_to_lose_its_hand_alone_searches_anew():
    scene = Scene()
    finder = Finder(scene)
    estimate = CropEstimator(Oracle(scene), finder, SIZES_PX)
    check(estimate, scene)
    finder.asked.clear()
    estimate.lose("right")
    for scene.seq in range(1, 4):
        check(estimate, scene)
    assert finder.asked == ["right"]


def test_a_track_in_doubt_asks_the_locator_again():
    scene = Scene()
    finder, oracle = Finder(scene), Oracle(scene)
    estimate = CropEstimator(oracle, finder, SIZES_PX)
    for scene.seq in range(5):
        check(estimate, scene)
    assert finder.asked == ["left", "right"]
    oracle.sure = 0.6
    for scene.seq in range(5, 12):
        check(estimate, scene)
    assert len(finder.asked) > 2


def test_a_user_may_give_the_side_and_the_boxes():
    scene = Scene("left")

    def roi(view: View) -> tuple[float, float, float]:
        (x, y), size = box_around(scene.pixels(view))
        return x, y, size

    oracle = Oracle(scene)
    check(CropEstimator(oracle, None, SIZES_PX, FollowSettings("left", PerView.of(roi))), scene)
    assert oracle.batches == [2], "a side that is given is not voted on"
    with pytest.raises(UserError, match="--roi-right"):
        CropEstimator(oracle, None, SIZES_PX, FollowSettings(roi=PerView(roi("left"), None)))


def test_an_engine_is_exchanged_between_two_calls():
    scene = Scene()
    old, new = Oracle(scene, "frame"), Oracle(scene, "crop")
    estimate = CropEstimator(old, Finder(scene), SIZES_PX)
    check(estimate, scene)
    estimate.swap(new)
    scene.seq = 1
    check(estimate, scene)
    assert (len(old.batches), len(new.batches)) == (1, 1)


def test_a_real_network_runs_through():
    torch.manual_seed(0)
    scene = Scene()
    engine = TorchEngine(HandNetwork(DetNet(), SIZE), Oracle(scene).manifest)
    estimate = CropEstimator(engine, Finder(scene), SIZES_PX)
    assert estimate.description == engine.description
    hands = [hand for hand in estimate(scene.pair(), CAMERAS) if hand is not None]
    assert hands, "what has learned nothing is about half sure of anything"
    for hand in hands:
        assert np.isfinite(hand.joints).all() and np.linalg.norm(hand.joints[9]) == pytest.approx(1)
