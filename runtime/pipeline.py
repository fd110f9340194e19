"""From a pair of frames to one 3D hand: locate or track, crop, predict, turn, merge, smooth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import unit_hand
from runtime.crop import CropCamera, HandCrop
from runtime.engine import Engine
from runtime.merge import DEFAULT_BETA, MergedHand, MergeRule, carry, merge
from runtime.rotation import RotationEstimator
from runtime.smooth import OneEuroFilter, OneEuroSettings
from runtime.track import TrackSettings, ViewTracker
from runtime.types import DualHand, HandBox, Side, Timings, ViewHand

Roi = tuple[float, float, float]
"""Centre x, centre y and side length of a box in the frame, px."""


class Locator(Protocol):
    """Finds hands in a whole frame."""

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """Boxes in an image (H, W, 3) uint8 RGB, best first; empty where no hand is seen."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How the pipeline works; every default is what the live program uses."""

    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person is shown; `auto` asks the locator, and takes a right hand where only a roi is given."""
    roi: PerView[Roi | None] = PerView(None, None)
    """A box per view that is used in place of the locator."""
    merge_rule: MergeRule = "softmax"
    merge_beta: float = DEFAULT_BETA
    smooth: OneEuroSettings | None = field(default_factory=OneEuroSettings)
    """None switches smoothing off."""
    track: TrackSettings = field(default_factory=TrackSettings)


class Pipeline:
    """One hand, two views. Holds the tracks, the rotation and the filter; does no input or output."""

    def __init__(
        self,
        engine: Engine,
        locate: Locator | None,
        cameras: PerView[PinholeCamera],
        settings: PipelineSettings = PipelineSettings(),
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ):
        """Raises UserError where a view has neither a locator nor a roi."""
        for view, roi in settings.roi.items():
            if locate is None and roi is None:
                raise UserError(f"the {view} view has no locator and no roi: give --roi-{view} X Y SIZE or locator weights")
        self.engine = engine
        """May be exchanged between two steps."""
        self.rotation = RotationEstimator()
        self._locate = locate
        self._cameras = cameras
        self._settings = settings
        self._clock_ns = clock_ns
        self._trackers = cameras.map(lambda camera: ViewTracker(camera.size_px, settings.track))
        self._smooth = OneEuroFilter(settings.smooth) if settings.smooth else None
        self._side: Side | None = None

    def step(self, pair: FramePair) -> list[DualHand]:
        """The hands in a pair: one or, where none is seen, none. Raises UserError for frames of an unexpected size."""
        started_ns = self._clock_ns()
        boxes = self._agree_on_side(PerView.of(lambda view: self._box(pair[view])))
        hands = self._predict(pair, boxes)
        if hands.left is not None and hands.right is not None:
            self.rotation.update(
                max(pair.left.captured_ns, pair.right.captured_ns),
                hands.left.joints,
                hands.right.joints,
                np.sqrt(hands.left.confidence * hands.right.confidence),
            )
        merged = self._merge(hands)
        if merged is None:
            return []
        side: Side = next(hand.side for hand in hands if hand is not None)
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        joints = self._smoothed(captured_ns, side, merged.joints)
        timings = Timings(captured_ns, max(pair.left.received_ns, pair.right.received_ns), started_ns, self._clock_ns())
        R, uncertainty_deg = self.rotation.rotation, self.rotation.uncertainty_deg
        return [DualHand(side, joints, merged.weight_left, hands, R, uncertainty_deg, None, timings)]

    def _box(self, frame: Frame) -> HandBox | None:
        """Where the hand is in this frame: the track's box, else one newly found."""
        width, height = self._cameras[frame.view].size_px
        if frame.image.shape[:2] != (height, width):
            got = f"{frame.image.shape[1]}×{frame.image.shape[0]}"
            raise UserError(f"the {frame.view} frames are {got}, expected {width}×{height}: a camera must not change its size")
        tracker = self._trackers[frame.view]
        box = tracker.box_at(frame.captured_ns)
        if box is None:
            box = self._find(frame)
            if box is not None:
                tracker.start(frame.captured_ns, box)
        return box

    def _find(self, frame: Frame) -> HandBox | None:
        fixed = self._settings.hand_side
        roi = self._settings.roi[frame.view]
        if roi is not None:
            x, y, size = roi
            return HandBox(frame.view, "right" if fixed == "auto" else fixed, (x, y), size, 1.0)
        assert self._locate is not None
        boxes = self._locate(frame.image, frame.view)
        if not boxes:
            return None
        return boxes[0] if fixed == "auto" else replace(boxes[0], side=fixed)

    def _agree_on_side(self, boxes: PerView[HandBox | None]) -> PerView[HandBox | None]:
        """Both views see the same hand of the person: the surer one says which."""
        if boxes.left is None or boxes.right is None or boxes.left.side == boxes.right.side:
            return boxes
        side = max((boxes.left, boxes.right), key=lambda box: box.score).side
        for tracker in self._trackers:
            tracker.take_side(side)
        return PerView(replace(boxes.left, side=side), replace(boxes.right, side=side))

    def _predict(self, pair: FramePair, boxes: PerView[HandBox | None]) -> PerView[ViewHand | None]:
        """Each view's hand, all crops in one run of the engine; None where there is no box or the answer is not believed."""
        size = self.engine.manifest.crop_size
        crops = [HandCrop.cut(box, self._cameras[box.view], pair[box.view].image, size) for box in boxes if box is not None]
        if not crops:
            return PerView(None, None)
        answer = self.engine(np.stack([crop.image for crop in crops]))
        found: dict[View, ViewHand] = {}
        for crop, joints, pixels, confidence in zip(crops, answer.joints, answer.pixels, answer.confidence, strict=True):
            hand = ViewHand(
                crop.view,
                crop.side,
                _in_camera_axes(joints, crop.camera, self.engine.manifest.axes),
                crop.camera.frame_from_crop(pixels),
                confidence.astype(float),
            )
            if self._trackers[crop.view].update(pair[crop.view].captured_ns, hand):
                found[crop.view] = hand
        return PerView.of(found.get)

    def _merge(self, hands: PerView[ViewHand | None]) -> MergedHand | None:
        R = self.rotation.rotation
        if hands.left is not None and hands.right is not None and R is not None:
            return merge(PerView(hands.left, hands.right), R, self._settings.merge_rule, self._settings.merge_beta)
        return carry(hands, R)

    def _smoothed(self, captured_ns: int, side: Side, joints: np.ndarray) -> np.ndarray:
        if self._smooth is None:
            return joints
        if side != self._side:
            self._smooth.reset()
            self._side = side
        return unit_hand(self._smooth(captured_ns, joints))


def _in_camera_axes(joints: np.ndarray, camera: CropCamera, axes: Literal["crop", "frame"]) -> np.ndarray:
    """Unit hand (21, 3) in the frame camera's axes from a network's answer."""
    joints = joints.astype(float)
    return unit_hand(camera.joints_in_frame(joints) if axes == "crop" else camera.unmirrored(joints))
