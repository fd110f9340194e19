"""The crop estimator with an oracle engine, which derives a crop's camera from its pixels and predicts the true hand."""

from dataclasses import replace
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
from runtime.estimators.crop_estimator import RELOCATE_EVERY, CropEstimator
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS, Estimator, FollowSettings
from runtime.estimators.framing import box_around, palm_roll, roll_of
from runtime.estimators.tracker import TrackSettings
from runtime.networks.detnet import DetNet
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest
from runtime.types import HandBox, Side
from tests.runtime.scenes import BLUE, CAMERAS, FRAME_NS, SIZES_PX, Scene

SIZE = 64
EXACT = 3e-3
"""Unit hands; accuracy of a crop camera computed from 8-bit pixels."""


class FakeLocator:
    """Locator that finds a scene's hand, slightly displaced."""

    def __init__(self, scene: Scene):
        self.searched_views: list[View] = []
        self.sides: dict[View, tuple[Side, float]] = {"left": (scene.side, 0.9), "right": (scene.side, 0.8)}
        """Handedness that it reports in each view, and its score."""
        self.decoy = False
        """Whether it also reports a false box, with a higher score."""
        self._scene = scene

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        self.searched_views.append(view)
        if view in self._scene.hidden:
            return []
        (x, y), size = box_around(self._scene.pixels(view))
        side, score = self.sides[view]
        boxes = [HandBox(view, side, (x + 5, y - 4), 1.2 * size, score)]
        if self.decoy:
            beside = x + (1 if x < CAMERAS[view].size_px[0] / 2 else -1) * 1.2 * size
            boxes.insert(0, HandBox(view, side, (beside, y), 0.8 * size, 0.99))
        return boxes


class Palms(FakeLocator):
    """Locator that sees how hands are turned, and not which hand it is."""

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        boxes, roll_deg = super().__call__(image, view), palm_roll(self._scene.pixels(view))
        return [replace(box, side="right", roll_deg=roll_deg, turned=True) for box in boxes]


class Oracle:
    """Engine that predicts the truth, as a perfect network would."""

    description = "truth"

    def __init__(self, scene: Scene, axes: Literal["crop", "frame"] = "crop", *, upright: bool = False, tells: bool = False):
        """`tells`: presence and handedness too, as MediaPipe's network does."""
        self.manifest = Manifest(
            architecture="mediapipe-landmarks" if tells else "detnet",
            root=0,
            crop_size=SIZE,
            map_size=16,
            axes=axes,
            upright=upright,
            training_data="the truth itself",
        )
        self.confidence = 0.9
        """Of a visible hand."""
        self.batches: list[int] = []
        self.rolls: list[float] = []
        """Of the hands in the crops, degrees clockwise."""
        self.presence = 0.95
        """Of a visible hand."""
        self.lies: dict[View, float] = {}
        """What it says, in some views, of the probability that the crop shows a right hand."""
        self._scene, self._tells = scene, tells

    def __call__(self, images: np.ndarray) -> Predictions:
        self.batches.append(len(images))
        answers = [self._answer(image) for image in images]
        joints, pixels, confidence, *told = (np.stack(part).astype(np.float32) for part in zip(*answers, strict=True))
        return Predictions(joints, pixels, confidence, *(told if self._tells else ()))

    def _answer(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
        view: View = "left" if np.median(image[..., 2]) == BLUE.left else "right"
        camera = camera_of(image, view)
        points = self._scene.joints(view)
        in_axes = camera.joints_in_crop(points) if self.manifest.axes == "crop" else camera.unmirrored(points)
        # Like a network, it knows right hands only: a crop mirrored wrongly has a lower confidence.
        confidence = self.confidence if camera.mirror == (self._scene.side == "left") else self.confidence - 0.2
        pixels = camera.crop_from_frame(self._scene.pixels(view))
        self.rolls.append(roll_of(pixels))
        seen = view not in self._scene.hidden and ((pixels > -SIZE / 4) & (pixels < 1.25 * SIZE)).all()
        right = 0.97 if camera.mirror == (self._scene.side == "left") else 0.03
        presence = self.presence if seen else 0.1
        return unit_hand(in_axes), pixels, np.full(21, confidence if seen else 0.0), presence, self.lies.get(view, right)


def camera_of(image: np.ndarray, view: View) -> CropCamera:
    """The camera of a crop from a frame of coordinates."""
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


def locator_for(scene: Scene, tells: bool) -> FakeLocator:
    """Of a network that tells presence and handedness or, else, of one that does not."""
    return Palms(scene) if tells else FakeLocator(scene)


def check(estimate: Estimator, scene: Scene) -> None:
    """Assert that both views' hands have the true pixels, joints and side."""
    for view, hand in estimate(scene.pair(), CAMERAS).items():
        assert hand is not None and (hand.view, hand.side) == (view, scene.side)
        np.testing.assert_allclose(hand.joints, scene.truth(view), atol=EXACT)
        np.testing.assert_allclose(hand.pixels, scene.pixels(view), atol=0.5)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("axes", ["crop", "frame"])
def test_a_perfect_network_gives_the_true_hand(side, axes):
    scene = Scene(side)
    locator, oracle = FakeLocator(scene), Oracle(scene, axes)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    for scene.seq in range(20):
        check(estimate, scene)
    assert locator.searched_views == ["left", "right"], "after the first pair the hand is tracked"
    assert oracle.batches == [4] * 12 + [2] * 7 + [4], "both views run in one batch, at first and at intervals as both sides"


@pytest.mark.parametrize(("side", "margin"), [("right", 0.2), ("left", -0.2)])
def test_hands_carry_each_views_vote_for_a_right_hand_where_both_sides_were_predicted(side, margin):
    scene = Scene(side)
    estimate = CropEstimator(Oracle(scene), FakeLocator(scene), SIZES_PX)
    votes = []
    for scene.seq in range(20):
        votes += [hand.right_margin for hand in estimate(scene.pair(), CAMERAS) if hand is not None]
    assert votes[:24] == pytest.approx([margin] * 24, abs=1e-6)
    assert votes[24:38] == [None] * 14
    assert votes[38:] == pytest.approx([margin] * 2, abs=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_network_that_tells_the_side_is_asked_once_for_each_crop(side):
    scene = Scene(side)
    scene.roll = 2.0
    oracle, locator = Oracle(scene, upright=True, tells=True), Palms(scene)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    for scene.seq in range(20):
        check(estimate, scene)
    assert locator.searched_views == ["left", "right"]
    # A left hand is taken for a right one until the network has said otherwise: once, in the first pair. One box is refined.
    assert max(oracle.batches) == 2 and sum(oracle.batches) <= 2 * (20 + (side == "left")) + 1
    votes = [hand.right_margin for hand in estimate(scene.pair(), CAMERAS) if hand is not None]
    assert votes == pytest.approx([0.94 if side == "right" else -0.94] * 2, abs=1e-6)


def test_both_views_decide_on_the_side_together():
    scene = Scene("left")
    oracle = Oracle(scene, upright=True, tells=True)
    estimate = CropEstimator(oracle, Palms(scene), SIZES_PX)
    # Whichever way its crops are mirrored, the left view sees rather a right hand in them; the right view knows better.
    oracle.lies = {"left": 0.4}
    for scene.seq in range(5):
        check(estimate, scene)


def test_presence_ends_a_track_whatever_the_joints_confidence():
    scene = Scene()
    oracle, locator = Oracle(scene, upright=True, tells=True), Palms(scene)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    check(estimate, scene)
    scene.seq, oracle.confidence = 1, 0.05
    check(estimate, scene)
    scene.seq, oracle.presence = 2, 0.4
    assert estimate(scene.pair(), CAMERAS) == PerView(None, None)
    scene.seq, oracle.presence = 3, 0.95
    locator.searched_views.clear()
    check(estimate, scene)
    assert locator.searched_views == ["left", "right"]


def test_a_view_that_shows_the_other_hand_for_long_is_searched_again():
    scene = Scene()
    oracle, locator = Oracle(scene, upright=True, tells=True), Palms(scene)
    estimate = CropEstimator(oracle, locator, SIZES_PX, FollowSettings("right"))
    check(estimate, scene)
    locator.searched_views.clear()
    oracle.lies = {"right": 0.1}
    for scene.seq in range(1, 1 + TrackSettings().max_contradictions):
        check(estimate, scene)
    assert not locator.searched_views
    for _ in range(RELOCATE_EVERY):
        scene.seq += 1
        check(estimate, scene)
    assert locator.searched_views == ["right"]


@pytest.mark.parametrize("side", ["right", "left"])
def test_crops_are_rolled_upright_for_an_upright_network(side):
    scene = Scene(side)
    scene.roll = 2.0
    oracle = Oracle(scene, upright=True)
    estimate = CropEstimator(oracle, FakeLocator(scene), SIZES_PX)
    for scene.seq in range(14):
        check(estimate, scene)
        if scene.seq == 0:
            # The locator knows no roll: each box is tried turned three ways, of which one is near enough to find the hand's own.
            assert oracle.batches == [12, 2] and max(abs(roll) for roll in oracle.rolls[:12]) > 25
            assert max(abs(roll) for roll in oracle.rolls[12:]) < 3
            oracle.rolls.clear()
    assert max(abs(roll) for roll in oracle.rolls) < 25 and oracle.batches[2:] == [4] * 11 + [2] * 2


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("hidden", ["left", "right"])
def test_a_view_finds_the_hand_again_after_losing_it(hidden, tells):
    scene = Scene()
    estimate = CropEstimator(Oracle(scene, upright=tells, tells=tells), locator_for(scene, tells), SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)
    scene.hidden = {hidden}
    for scene.seq in range(3, 6):
        assert [view for view, hand in estimate(scene.pair(), CAMERAS).items() if hand is None] == [hidden]
    scene.hidden = {"left", "right"}
    assert estimate(scene.pair(), CAMERAS) == PerView(None, None)
    scene.hidden = set()
    check(estimate, scene)


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("gone", ["left", "right"])
def test_an_absent_camera_is_skipped_and_relocated_on_return(gone, tells):
    scene = Scene()
    locator, oracle = locator_for(scene, tells), Oracle(scene, upright=tells, tells=tells)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)
    locator.searched_views.clear()
    for scene.seq in range(3, 6):
        pair = scene.pair()
        stand_in = pair[gone].stand_in(pair[other(gone)])
        seen = estimate(FramePair(*(stand_in if view == gone else pair[view] for view in VIEWS)), CAMERAS)
        assert [view for view, hand in seen.items() if hand is None] == [gone]
    assert not locator.searched_views
    check(estimate, scene)
    assert locator.searched_views == [gone]


@pytest.mark.parametrize("right_view_side", ["left", "right"])
def test_network_handedness_overrides_the_locator(right_view_side):
    scene = Scene("left")
    locator = FakeLocator(scene)
    locator.sides = {"left": ("right", 0.6), "right": (right_view_side, 0.8)}
    estimate = CropEstimator(Oracle(scene), locator, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)


@pytest.mark.parametrize(("away_ns", "same"), [(HANDEDNESS_TIMEOUT_NS // 2, True), (2 * HANDEDNESS_TIMEOUT_NS, False)])
def test_after_a_long_absence_the_next_hand_may_be_the_other_one(away_ns, same):
    scene = Scene("right")
    locator, oracle = FakeLocator(scene), Oracle(scene)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    for scene.seq in range(5):
        check(estimate, scene)
    scene.hidden = {"left", "right"}
    scene.seq += away_ns // FRAME_NS
    estimate(scene.pair(), CAMERAS)
    # The other hand comes, but not so clearly that one pair would overrule what five said.
    scene.hidden, scene.side, oracle.confidence = set(), "left", 0.5
    locator.sides = {"left": ("left", 0.9), "right": ("left", 0.9)}
    scene.seq += 1
    for hand in estimate(scene.pair(), CAMERAS):
        assert hand is not None and hand.side == ("right" if same else "left")


@pytest.mark.parametrize("tells", [False, True])
def test_the_candidate_box_with_the_hand_is_selected(tells):
    scene = Scene()
    locator = locator_for(scene, tells)
    locator.decoy = True
    estimate = CropEstimator(Oracle(scene, upright=tells, tells=tells), locator, SIZES_PX)
    for scene.seq in range(3):
        check(estimate, scene)


@pytest.mark.parametrize("tells", [False, True])
def test_lose_relocates_that_view_only(tells):
    scene = Scene()
    locator = locator_for(scene, tells)
    estimate = CropEstimator(Oracle(scene, upright=tells, tells=tells), locator, SIZES_PX)
    check(estimate, scene)
    locator.searched_views.clear()
    estimate.lose("right")
    for scene.seq in range(1, 4):
        check(estimate, scene)
    assert locator.searched_views == ["right"]


def test_an_uncertain_track_runs_the_locator_again():
    scene = Scene()
    locator, oracle = FakeLocator(scene), Oracle(scene)
    estimate = CropEstimator(oracle, locator, SIZES_PX)
    for scene.seq in range(5):
        check(estimate, scene)
    assert locator.searched_views == ["left", "right"]
    oracle.confidence = 0.6
    for scene.seq in range(5, 12):
        check(estimate, scene)
    assert len(locator.searched_views) > 2


def test_hand_side_and_roi_can_be_given():
    scene = Scene("left")

    def roi(view: View) -> tuple[float, float, float]:
        (x, y), size = box_around(scene.pixels(view))
        return x, y, size

    oracle = Oracle(scene)
    check(CropEstimator(oracle, None, SIZES_PX, FollowSettings("left", PerView.of(roi))), scene)
    assert oracle.batches == [2], "a given side is not tested"
    with pytest.raises(UserError, match="--roi-right"):
        CropEstimator(oracle, None, SIZES_PX, FollowSettings(roi=PerView(roi("left"), None)))


def test_swap_exchanges_the_engine_between_two_calls():
    scene = Scene()
    old, new = Oracle(scene, "frame"), Oracle(scene, "crop")
    estimate = CropEstimator(old, FakeLocator(scene), SIZES_PX)
    check(estimate, scene)
    estimate.swap(new)
    scene.seq = 1
    check(estimate, scene)
    assert (len(old.batches), len(new.batches)) == (1, 1)


def test_an_untrained_network_runs_end_to_end():
    torch.manual_seed(0)
    scene = Scene()
    engine = TorchEngine(HandNetwork(DetNet(), SIZE), Oracle(scene).manifest)
    estimate = CropEstimator(engine, FakeLocator(scene), SIZES_PX)
    assert estimate.description == engine.description
    hands = [hand for hand in estimate(scene.pair(), CAMERAS) if hand is not None]
    assert hands, "an untrained network has a confidence of about one half"
    for hand in hands:
        assert np.isfinite(hand.joints).all() and np.linalg.norm(hand.joints[9]) == pytest.approx(1)
