"""The estimator that looks at crops: locate or track, crop, predict, and let the network vote on which hand it is."""

import time
from dataclasses import replace
from typing import Protocol

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import CropPrediction, CropRequest, predict_crops, refine_predictions, roll_hypotheses
from runtime.estimators.estimator import ANY_HAND, FORGET_SIDE_NS, FollowSettings
from runtime.estimators.handedness import HandednessFilter
from runtime.estimators.registry import EstimatorOptions, LoadedEstimator
from runtime.estimators.tracker import TrackSettings, ViewTracker
from runtime.networks.weights import Manifest
from runtime.types import HandBox, Side, ViewHand

RELOCATE_EVERY = 3
"""While a track is in doubt, every how many-th frame the locator is asked too."""
MAX_CANDIDATES = 3
"""Boxes of the locator that are tried in a view."""
_TRACK = TrackSettings()


class Locator(Protocol):
    """Finds hands in a whole frame."""

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """Boxes in an image (H, W, 3) uint8 RGB, best first; empty where no hand is seen."""
        ...


def load_detnet(options: EstimatorOptions) -> LoadedEstimator:
    """An `EstimatorFactory`: the crop network in an engine, and the locator where a view has no roi."""
    from runtime.engines.selection import select_engine
    from runtime.estimators.locator import load_locator
    from runtime.networks.weights import DEFAULT_WEIGHTS

    weights = options.weights or DEFAULT_WEIGHTS
    engine = select_engine(options.engine, weights, threads=options.threads)
    locate = None if all(options.follow.roi) else load_locator()
    return LoadedEstimator(engine.description, weights, lambda sizes_px: CropEstimator(engine, locate, sizes_px, options.follow))


class CropEstimator:
    """An `Estimator` that asks a crop network (DetNet, DetNet-lite) what is in boxes. Holds each view's track and the vote."""

    def __init__(
        self,
        engine: Engine,
        locate: Locator | None,
        sizes_px: PerView[tuple[int, int]],
        follow: FollowSettings = ANY_HAND,
        track: TrackSettings = _TRACK,
    ):
        """`sizes_px` are the frames' width and height. Raises UserError where a view has neither a locator nor a roi."""
        for view, roi in follow.roi.items():
            if locate is None and roi is None:
                raise UserError(f"the {view} view has no locator and no roi: give --roi-{view} X Y SIZE or locator weights")
        self._engine = engine
        self._locate = locate
        self._follow = follow
        self._min_confidence = track.min_confidence
        self._trackers = sizes_px.map(lambda size_px: ViewTracker(size_px, track, upright=engine.manifest.upright))
        self._vote = HandednessFilter() if follow.hand_side == "auto" else None
        self._seen_ns = 0
        """When a view last followed a hand."""

    @property
    def description(self) -> str:
        return self._engine.description

    @property
    def engine(self) -> Engine:
        """See `Adaptable`."""
        return self._engine

    @property
    def manifest(self) -> Manifest:
        """See `Adaptable`."""
        return self._engine.manifest

    def swap(self, engine: Engine) -> None:
        """See `Adaptable`."""
        assert engine.manifest.upright == self.manifest.upright, "boxes are tracked for networks of one kind"
        self._engine = engine

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        boxes = self._agree_on_side(PerView.of(lambda view: self._candidates(pair[view])))
        hands = self._predict(pair, cameras, boxes)
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if any(tracker.tracking for tracker in self._trackers):
            self._seen_ns = captured_ns
        elif self._vote and captured_ns - self._seen_ns > FORGET_SIDE_NS:
            # The next hand may be the other one.
            self._vote = HandednessFilter()
        return hands

    def lose(self, view: View) -> None:
        self._trackers[view].lose()

    def _candidates(self, frame: Frame) -> list[HandBox]:
        """Where the hand may be in this frame: the track's box; where there is none or it is in doubt, what the locator finds."""
        tracker = self._trackers[frame.view]
        if frame.absent:
            tracker.lose()
            return []
        box = tracker.box_at(frame.captured_ns)
        if box is None:
            return self._find(frame)
        if tracker.uncertain and frame.seq % RELOCATE_EVERY == 0 and self._follow.roi[frame.view] is None:
            return [box, *self._find(frame)]
        return [box]

    def _find(self, frame: Frame) -> list[HandBox]:
        fixed = self._follow.hand_side
        roi = self._follow.roi[frame.view]
        if roi is not None:
            x, y, size = roi
            boxes = [HandBox(frame.view, "right", (x, y), size, 1.0)]
        else:
            assert self._locate is not None
            boxes = self._locate(frame.image, frame.view)[:MAX_CANDIDATES]
        if fixed != "auto":
            boxes = [replace(box, side=fixed) for box in boxes]
        return [turned for box in boxes for turned in roll_hypotheses(box, self.manifest.upright)]

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

    def _predict(
        self, pair: FramePair, cameras: PerView[PinholeCamera], boxes: PerView[list[HandBox]]
    ) -> PerView[ViewHand | None]:
        """Each view's hand, of its candidates the one that the network is surest of; None where no answer is believed."""
        asked = [box for view_boxes in boxes for box in view_boxes]
        if not asked:
            return PerView(None, None)
        both_ways = self._vote is not None and self._vote.due()
        others = [replace(box, side=_other(box.side)) for box in asked] if both_ways else []
        places = [CropRequest(box, cameras[box.view], pair[box.view].image) for box in asked + others]
        answers = predict_crops(self._engine, places)
        chosen, otherwise = _surest(answers[: len(asked)]), _surest(answers[len(asked) :])
        if both_ways and self._changes_side(chosen, otherwise):
            chosen = otherwise
            self._take_side(chosen[0].box.side)
        found: dict[View, ViewHand] = {}
        final = refine_predictions(self._engine, chosen)
        inferred_ns = time.monotonic_ns()
        for first, answer in zip(chosen, final, strict=True):
            tracker, captured_ns = self._trackers[answer.hand.view], pair[answer.hand.view].captured_ns
            if first.box != tracker.box_at(captured_ns):
                tracker.start(captured_ns, first.box)
            if tracker.update(captured_ns, answer.hand):
                found[answer.hand.view] = replace(answer.hand, inferred_ns=inferred_ns)
        return PerView.of(found.get)

    def _changes_side(self, answers: list[CropPrediction], otherwise: list[CropPrediction]) -> bool:
        """Let the vote see both answers of each view; whether it now says the other side."""
        assert self._vote is not None
        before = self._vote.side
        for answer, mirrored in zip(answers, otherwise, strict=True):
            if max(answer.sure, mirrored.sure) < self._min_confidence:
                continue
            sure = {answer.box.side: answer.sure, mirrored.box.side: mirrored.sure}
            self._vote.add(sure["right"], sure["left"])
        return self._vote.side != before


def _surest(answers: list[CropPrediction]) -> list[CropPrediction]:
    """Of each view's answers the surest, left view first."""
    of_view = (tuple(answer for answer in answers if answer.hand.view == view) for view in VIEWS)
    return [max(same, key=lambda answer: answer.sure) for same in of_view if same]


def _other(side: Side) -> Side:
    return "left" if side == "right" else "right"
