"""From a pair of frames to one 3D hand: locate or track, crop, predict, turn, calibrate, merge, smooth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.agree import Agreement
from runtime.calibrate import SelfCalibrator
from runtime.engine import Engine
from runtime.fusion import Fusion, FusionSettings, MergeChoice
from runtime.look import Answer, Place, look, look_again, turns
from runtime.merge import DEFAULT_BETA, MergeRule
from runtime.side import SideVote
from runtime.smooth import OneEuroSettings
from runtime.solver_loop import Solver
from runtime.track import TrackSettings, ViewTracker
from runtime.types import DualHand, HandBox, Side, Timings, ViewHand

Roi = tuple[float, float, float]
"""Centre x, centre y and side length of a box in the frame, px."""
FORGET_SIDE_NS = 2_000_000_000
"""A hand that comes back after no longer than this is taken for the same one."""
SECOND_LOOK_EVERY = 3
"""While a track is in doubt, every how many-th frame the locator is asked too."""
MOST_CANDIDATES = 3
"""Boxes of the locator that are tried in a view."""


class Locator(Protocol):
    """Finds hands in a whole frame."""

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """Boxes in an image (H, W, 3) uint8 RGB, best first; empty where no hand is seen."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How the pipeline works; every default is what the live program uses."""

    hand_side: Literal["auto", "left", "right"] = "auto"
    """Which hand of the person is shown; `auto` finds out (`runtime.side`)."""
    roi: PerView[Roi | None] = PerView(None, None)
    """A box per view that is used in place of the locator."""
    merge: MergeChoice = "auto"
    """By what two views become one hand (`runtime.fusion`)."""
    hand_size_mm: float = 90.0
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
        *,
        calibrator: SelfCalibrator | None = None,
        solver: Solver | None = None,
    ):
        """`calibrator` and `solver` find the cameras' places; without them there is but their rotation. Raises UserError where a
        view has neither a locator nor a roi."""
        for view, roi in settings.roi.items():
            if locate is None and roi is None:
                raise UserError(f"the {view} view has no locator and no roi: give --roi-{view} X Y SIZE or locator weights")
        self.engine = engine
        """May be exchanged between two steps."""
        self.fusion = Fusion(
            FusionSettings(settings.merge, settings.merge_rule, settings.merge_beta, settings.hand_size_mm, settings.smooth),
            calibrator,
            solver,
        )
        self._locate = locate
        self._cameras = cameras
        self._settings = settings
        self._clock_ns = clock_ns
        self._trackers = cameras.map(lambda camera: ViewTracker(camera.size_px, settings.track, upright=engine.manifest.upright))
        self._agreement = Agreement()
        self._vote = SideVote() if settings.hand_side == "auto" else None
        self._seen_ns = 0
        """When a view last followed a hand."""

    def step(self, pair: FramePair) -> list[DualHand]:
        """The hands in a pair: one or, where none is seen, none. Raises UserError for frames of an unexpected size."""
        started_ns = self._clock_ns()
        boxes = self._agree_on_side(PerView.of(lambda view: self._candidates(pair[view])))
        hands = self._predict(pair, boxes)
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if any(tracker.tracking for tracker in self._trackers):
            self._seen_ns = captured_ns
        elif self._vote and captured_ns - self._seen_ns > FORGET_SIDE_NS:
            # The next hand may be the other one.
            self._vote = SideVote()
        self.fusion.learn(captured_ns, hands)
        doubted = self._agreement.doubted(hands, self.fusion.sure_rotation)
        if doubted is not None:
            self._trackers[doubted].lose()
            hands = PerView.of(lambda view: None if view == doubted else hands[view])
        fused = self.fusion(captured_ns, hands)
        # Crops look along rays, which the cameras' focal lengths tell.
        self._cameras = self.fusion.cameras(self._cameras)
        if fused is None:
            return []
        side: Side = next(hand.side for hand in hands if hand is not None)
        timings = Timings(captured_ns, max(pair.left.received_ns, pair.right.received_ns), started_ns, self._clock_ns())
        return [
            DualHand(
                side,
                fused.joints,
                fused.weight_left,
                hands,
                fused.R_right_from_left,
                fused.rotation_uncertainty_deg,
                timings,
                fused.geometry,
                fused.wrist_mm,
                fused.reprojection_px,
                self.fusion.note,
            )
        ]

    def _candidates(self, frame: Frame) -> list[HandBox]:
        """Where the hand may be in this frame: the track's box; where there is none or it is in doubt, what the locator finds."""
        width, height = self._cameras[frame.view].size_px
        if frame.image.shape[:2] != (height, width):
            got = f"{frame.image.shape[1]}×{frame.image.shape[0]}"
            raise UserError(f"the {frame.view} frames are {got}, expected {width}×{height}: a camera must not change its size")
        tracker = self._trackers[frame.view]
        box = tracker.box_at(frame.captured_ns)
        if box is None:
            return self._find(frame)
        if tracker.doubtful and frame.seq % SECOND_LOOK_EVERY == 0 and self._settings.roi[frame.view] is None:
            return [box, *self._find(frame)]
        return [box]

    def _find(self, frame: Frame) -> list[HandBox]:
        fixed = self._settings.hand_side
        roi = self._settings.roi[frame.view]
        if roi is not None:
            x, y, size = roi
            boxes = [HandBox(frame.view, "right", (x, y), size, 1.0)]
        else:
            assert self._locate is not None
            boxes = self._locate(frame.image, frame.view)[:MOST_CANDIDATES]
        if fixed != "auto":
            boxes = [replace(box, side=fixed) for box in boxes]
        return [turned for box in boxes for turned in turns(box, self.engine.manifest.upright)]

    def _agree_on_side(self, boxes: PerView[list[HandBox]]) -> PerView[list[HandBox]]:
        """Both views see the same hand of the person: what the vote says, at first what the locator says where it is surest."""
        if self._vote is None:
            return boxes
        if self._vote.side is None:
            found = [box for view_boxes in boxes for box in view_boxes]
            if not found:
                return boxes
            surest = max(found, key=lambda box: box.score)
            self._vote.start(surest.side, surest.score)
        side = self._vote.side
        assert side is not None
        self._take_side(side)
        return boxes.map(lambda view_boxes: [replace(box, side=side) for box in view_boxes])

    def _take_side(self, side: Side) -> None:
        for tracker in self._trackers:
            tracker.take_side(side)

    def _predict(self, pair: FramePair, boxes: PerView[list[HandBox]]) -> PerView[ViewHand | None]:
        """Each view's hand, of its candidates the one that the network is surest of; None where no answer is believed."""
        asked = [box for view_boxes in boxes for box in view_boxes]
        if not asked:
            return PerView(None, None)
        both_ways = self._vote is not None and self._vote.due()
        others = [replace(box, side=_other(box.side)) for box in asked] if both_ways else []
        answers = self._look(pair, asked + others)
        chosen, otherwise = _surest(answers[: len(asked)]), _surest(answers[len(asked) :])
        if both_ways and self._changes_side(chosen, otherwise):
            chosen = otherwise
            self._take_side(chosen[0].box.side)
            self.fusion.forget()
        found: dict[View, ViewHand] = {}
        for first, answer in zip(chosen, look_again(self.engine, chosen), strict=True):
            tracker, captured_ns = self._trackers[answer.hand.view], pair[answer.hand.view].captured_ns
            if first.box != tracker.box_at(captured_ns):
                tracker.start(captured_ns, first.box)
            if tracker.update(captured_ns, answer.hand):
                found[answer.hand.view] = answer.hand
        return PerView.of(found.get)

    def _look(self, pair: FramePair, boxes: list[HandBox]) -> list[Answer]:
        return look(self.engine, [Place(box, self._cameras[box.view], pair[box.view].image) for box in boxes])

    def _changes_side(self, answers: list[Answer], otherwise: list[Answer]) -> bool:
        """Let the vote see both answers of each view; whether it now says the other side."""
        assert self._vote is not None
        before = self._vote.side
        for answer, mirrored in zip(answers, otherwise, strict=True):
            if max(answer.sure, mirrored.sure) < self._settings.track.min_confidence:
                continue
            sure = {answer.box.side: answer.sure, mirrored.box.side: mirrored.sure}
            self._vote.add(sure["right"], sure["left"])
        return self._vote.side != before


def _surest(answers: list[Answer]) -> list[Answer]:
    """Of each view's answers the surest, left view first."""
    of_view = (tuple(answer for answer in answers if answer.hand.view == view) for view in VIEWS)
    return [max(same, key=lambda answer: answer.sure) for same in of_view if same]


def _other(side: Side) -> Side:
    return "left" if side == "right" else "right"
