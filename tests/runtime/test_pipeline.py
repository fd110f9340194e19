"""From frames to the true hand: two cameras, a hand that moves, and an engine that knows the truth.

The frames hold no picture: red and green say which pixel it is, blue which view. So the engine finds out from a crop's
pixels alone where the crop looks, and answers what a perfect network would.
"""

import itertools
from typing import Literal

import cv2
import numpy as np
import pytest
import torch

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.agree import PATIENCE
from runtime.crop import CropCamera
from runtime.detnet import DetNet
from runtime.engine import Predictions, TorchEngine
from runtime.network import HandNetwork
from runtime.pipeline import Pipeline, PipelineSettings
from runtime.rotation import SURE_DEG
from runtime.track import box_around, roll_of
from runtime.types import HandBox, Side
from runtime.weights import Manifest
from tests.runtime.hands import flexed_hand

CAMERAS = PerView(PinholeCamera.from_fov(640, 480, 65), PinholeCamera.from_fov(320, 240, 80))
R_RIGHT_FROM_LEFT = from_vector(np.array([0.1, -1.2, 0.2]))
FRAME_NS = 33_000_000
SIZE = 64
UNSMOOTHED = PipelineSettings(smooth=None)


BLUE = PerView(100, 200)
EXACT = 3e-3
"""How well the crop can be told from pixels of eight bits, in unit hands."""


def coordinates(view: View) -> np.ndarray:
    """A frame whose red and green grow with x and y (dithered, so that they hold more than eight bits on average)."""
    width, height = CAMERAS[view].size_px
    y, x = np.mgrid[:height, :width]
    levels = np.stack([x * 255 / width, y * 255 / height], -1)
    image = np.full((height, width, 3), BLUE[view], np.uint8)
    image[..., :2] = np.floor(levels + np.random.default_rng(0).uniform(0, 1, levels.shape))
    image.flags.writeable = False
    return image


IMAGES = PerView.of(coordinates)


class Scene:
    """A moving hand before two cameras; as a locator it finds the hand, somewhat beside its place."""

    def __init__(self, side: Side = "right"):
        self.side: Side = side
        self.seq = 0
        self.hidden: set[View] = set()
        self.located: list[View] = []
        self.called: dict[View, tuple[Side, float]] = {"left": (side, 0.9), "right": (side, 0.8)}
        self.sure = 0.9
        """The network's confidence in a hand that it sees."""
        self.decoy = False
        """Whether the locator is surer of a place without a hand."""
        self.roll = 0.0
        """By how much the hand is turned about the left camera's axis, radians."""

    def joints(self, view: View) -> np.ndarray:
        """(21, 3) joints in the view's axes, metres; the hand moves, turns and bends."""
        hand = flexed_hand(0.5 + 0.4 * np.sin(self.seq / 7)) * 0.09
        hand = hand * np.array([-1, 1, 1]) if self.side == "left" else hand
        hand = hand @ from_vector(np.array([0.3 * np.sin(self.seq / 5), 0.3 * np.cos(self.seq / 6), 0.2])).T
        hand = hand @ from_vector(np.array([0.0, 0.0, self.roll])).T
        path = np.array([0.06 * np.sin(self.seq / 9), 0.05 * np.cos(self.seq / 8), 0])
        if view == "left":
            return hand + path + np.array([0.05, 0.04, 0.5])
        return (hand + path) @ R_RIGHT_FROM_LEFT.T + np.array([-0.03, 0.02, 0.45])

    def truth(self, view: View = "left") -> np.ndarray:
        return unit_hand(self.joints(view))

    def pixels(self, view: View) -> np.ndarray:
        return CAMERAS[view].project(self.joints(view))

    def pair(self) -> FramePair:
        time_ns = self.seq * FRAME_NS
        return FramePair(*(Frame(view, self.seq, time_ns, time_ns + 1_000_000, image) for view, image in IMAGES.items()))

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        self.located.append(view)
        if view in self.hidden:
            return []
        (x, y), size = box_around(self.pixels(view))
        side, score = self.called[view]
        boxes = [HandBox(view, side, (x + 5, y - 4), 1.2 * size, score)]
        if self.decoy:
            beside = x + (1 if x < CAMERAS[view].size_px[0] / 2 else -1) * 1.2 * size
            boxes.insert(0, HandBox(view, side, (beside, y), 0.8 * size, 0.99))
        return boxes


class Oracle:
    """The engine that answers from the truth."""

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
        self.batches: list[int] = []
        self.rolls: list[float] = []
        """Of the hands in the crops, degrees clockwise."""
        self.elbow: View | None = None
        """A view in which it takes something else for the hand, and is somewhat less sure."""
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
        sure = self._scene.sure if camera.mirror == (self._scene.side == "left") else self._scene.sure - 0.2
        pixels = camera.crop_from_frame(self._scene.pixels(view))
        self.rolls.append(roll_of(pixels))
        if view == self.elbow:
            return unit_hand(np.random.default_rng(0).normal(size=(21, 3))), pixels, np.full(21, sure - 0.05)
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


def pipeline_on(scene: Scene, settings: PipelineSettings = UNSMOOTHED, axes: Literal["crop", "frame"] = "crop") -> Pipeline:
    clock = itertools.count(10**12, 1000)
    return Pipeline(Oracle(scene, axes), scene, CAMERAS, settings, lambda: next(clock))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("axes", ["crop", "frame"])
def test_a_perfect_network_gives_the_true_hand(side, axes):
    scene = Scene(side)
    oracle = Oracle(scene, axes)
    pipeline = Pipeline(oracle, scene, CAMERAS, UNSMOOTHED)
    for scene.seq in range(20):
        (hand,) = pipeline.step(scene.pair())
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=EXACT)
        assert hand.side == side
        for view, seen in hand.views.items():
            assert seen is not None
            np.testing.assert_allclose(seen.joints, scene.truth(view), atol=EXACT)
            np.testing.assert_allclose(seen.pixels, scene.pixels(view), atol=0.5)
        assert hand.R_right_from_left is not None and angle_deg(hand.R_right_from_left, R_RIGHT_FROM_LEFT) < 0.1
    assert scene.located == ["left", "right"], "after the first pair the hand is tracked"
    assert oracle.batches == [4] * 12 + [2] * 7 + [4], "both views run in one batch, at first and now and then both ways"


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_network_that_wants_hands_upright_is_shown_them_so(side):
    scene = Scene(side)
    scene.roll = 2.0
    oracle = Oracle(scene, upright=True)
    pipeline = Pipeline(oracle, scene, CAMERAS, UNSMOOTHED)
    for scene.seq in range(14):
        (hand,) = pipeline.step(scene.pair())
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=EXACT)
        if scene.seq == 0:
            # The locator knows no roll: each box is tried turned three ways, of which one is near enough to find the hand's own.
            assert oracle.batches == [12, 2] and max(abs(roll) for roll in oracle.rolls[:12]) > 25
            assert max(abs(roll) for roll in oracle.rolls[12:]) < 3
            oracle.rolls.clear()
    assert max(abs(roll) for roll in oracle.rolls) < 25 and oracle.batches[2:] == [4] * 11 + [2] * 2


def test_smoothing_keeps_a_unit_hand_near_the_truth():
    scene = Scene()
    pipeline = pipeline_on(scene, PipelineSettings())
    for scene.seq in range(20):
        (hand,) = pipeline.step(scene.pair())
        assert np.linalg.norm(hand.joints[9]) == pytest.approx(1)
        assert np.abs(hand.joints - scene.truth()).max() < 0.15


def test_times_travel_with_the_hand():
    scene = Scene()
    scene.seq = 3
    timings = pipeline_on(scene).step(scene.pair())[0].timings
    assert (timings.captured_ns, timings.received_ns) == (3 * FRAME_NS, 3 * FRAME_NS + 1_000_000)
    assert timings.started_ns < timings.finished_ns


@pytest.mark.parametrize(("hidden", "seen", "weight"), [("right", "left", 1), ("left", "right", 0)])
def test_one_view_carries_the_hand_while_the_other_is_blind(hidden, seen, weight):
    scene = Scene()
    pipeline = pipeline_on(scene)
    for scene.seq in range(3):
        pipeline.step(scene.pair())
    scene.hidden = {hidden}
    for scene.seq in range(3, 6):
        (hand,) = pipeline.step(scene.pair())
        assert hand.views[hidden] is None and hand.views[seen] is not None
        assert np.all(hand.weight_left == weight)
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=2 * EXACT)
    scene.hidden = set()
    (hand,) = pipeline.step(scene.pair())
    assert None not in list(hand.views), "the hand is found again"


def test_no_hand_where_none_is_seen_or_only_the_right_view_before_a_rotation():
    scene = Scene()
    pipeline = pipeline_on(scene)
    scene.hidden = {"left", "right"}
    assert pipeline.step(scene.pair()) == []
    scene.hidden = {"left"}
    assert pipeline.step(scene.pair()) == []
    scene.hidden = {"right"}
    scene.seq = 1
    (hand,) = pipeline.step(scene.pair())
    assert hand.R_right_from_left is None and hand.rotation_uncertainty_deg == float("inf")


@pytest.mark.parametrize("called", ["left", "right"])
def test_the_network_says_which_hand_it_is_whatever_the_locator_called_it(called):
    scene = Scene("left")
    scene.called = {"left": ("right", 0.6), "right": (called, 0.8)}
    pipeline = pipeline_on(scene)
    for scene.seq in range(3):
        (hand,) = pipeline.step(scene.pair())
        assert hand.side == "left" and all(seen is not None and seen.side == "left" for seen in hand.views)
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=EXACT)


def test_of_two_places_the_one_with_the_hand_is_taken():
    scene = Scene()
    scene.decoy = True
    pipeline = pipeline_on(scene)
    for scene.seq in range(3):
        (hand,) = pipeline.step(scene.pair())
        assert all(seen is not None for seen in hand.views)
        np.testing.assert_allclose(hand.joints, scene.truth(), atol=EXACT)


def test_a_view_that_follows_something_else_is_let_go_and_searches_anew():
    scene = Scene()
    oracle = Oracle(scene)
    pipeline = Pipeline(oracle, scene, CAMERAS, UNSMOOTHED)
    for scene.seq in range(30):
        pipeline.step(scene.pair())
    assert pipeline.fusion.rotation.uncertainty_deg < SURE_DEG
    oracle.elbow = "right"
    carried = 0
    for scene.seq in range(30, 30 + 2 * PATIENCE):
        for hand in pipeline.step(scene.pair()):
            carried += hand.views.right is None
    assert carried >= 1 and scene.located.count("right") > 1 and scene.located.count("left") == 1


def test_a_track_in_doubt_asks_the_locator_again():
    scene = Scene()
    pipeline = pipeline_on(scene)
    for scene.seq in range(5):
        pipeline.step(scene.pair())
    assert scene.located == ["left", "right"]
    scene.sure = 0.6
    for scene.seq in range(5, 12):
        assert pipeline.step(scene.pair())
    assert len(scene.located) > 2


def test_a_user_may_give_the_side_and_the_boxes():
    scene = Scene("left")

    def roi(view: View) -> tuple[float, float, float]:
        (x, y), size = box_around(scene.pixels(view))
        return x, y, size

    settings = PipelineSettings(hand_side="left", roi=PerView.of(roi), smooth=None)
    (hand,) = Pipeline(Oracle(scene), None, CAMERAS, settings).step(scene.pair())
    assert hand.side == "left"
    np.testing.assert_allclose(hand.joints, scene.truth(), atol=EXACT)
    with pytest.raises(UserError, match="--roi-left"):
        Pipeline(Oracle(scene), None, CAMERAS)


def test_a_camera_that_changes_its_size_is_named():
    scene = Scene()
    pipeline = pipeline_on(scene)
    pair = scene.pair()
    swapped = Frame("right", 0, 0, 0, pair.left.image)
    with pytest.raises(UserError, match="right frames are 640×480, expected 320×240"):
        pipeline.step(FramePair(pair.left, swapped))


def test_a_real_network_runs_through():
    torch.manual_seed(0)
    scene = Scene()
    network = HandNetwork(DetNet(), SIZE)
    pipeline = Pipeline(TorchEngine(network, Oracle(scene).manifest), scene, CAMERAS)
    for hand in pipeline.step(scene.pair()):
        assert np.isfinite(hand.joints).all() and np.linalg.norm(hand.joints[9]) == pytest.approx(1)
