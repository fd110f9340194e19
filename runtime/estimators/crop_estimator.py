"""Estimators with a crop network: locate or track the hand, crop, predict its joints, and filter its handedness.

A network that tells presence and handedness (MediaPipe's) is asked once for each crop; one that does not (DetNet) is asked for
the crop and its mirror image now and then.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import (
    MIN_PRESENCE,
    CropPrediction,
    CropRequest,
    mirrored,
    predict_crops,
    refine_predictions,
    roll_hypotheses,
    tells_hand,
)
from runtime.estimators.estimator import ANY_HAND, HANDEDNESS_TIMEOUT_NS, FollowSettings
from runtime.estimators.framing import Framing
from runtime.estimators.handedness import HandednessFilter
from runtime.estimators.registry import EstimatorOptions, LoadedEstimator
from runtime.estimators.tracker import TrackSettings, ViewTracker
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest
from runtime.types import HandBox, Side, ViewHand

RELOCATE_EVERY = 3
"""While a track is uncertain, the locator runs in every so many-th frame too."""
MAX_CANDIDATES = 3
"""Most boxes of the locator that are tried in a view."""
MIN_SAME_SIDE = 0.2
"""A hand that is of its box's side with less probability shows the other one."""
_TRACK = TrackSettings()
_TRACK_BY_PRESENCE = TrackSettings(min_confidence=MIN_PRESENCE, start_confidence=MIN_PRESENCE)


class Locator(Protocol):
    """Finds hands in a whole frame."""

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """Boxes in an image (H, W, 3) uint8 RGB, best first; empty where no hand is seen."""
        ...


def load_detnet(options: EstimatorOptions) -> LoadedEstimator:
    """An `EstimatorFactory`: the crop network in an engine, and the locator where a view has no roi."""
    from runtime.estimators.locator import load_locator

    weights = options.weights or DEFAULT_WEIGHTS
    engine = load_engine(options, weights)
    locate = None if all(options.follow.roi) else load_locator()
    return LoadedEstimator(engine.description, weights, lambda sizes_px: CropEstimator(engine, locate, sizes_px, options.follow))


def load_engine(options: EstimatorOptions, weights: Path, *, tells: bool = False) -> Engine:
    """What runs the network; `tells`: one that tells presence and handedness is expected.

    Raises UserError for weights that cannot be loaded or are of another kind, EngineRefused for an engine that cannot run.
    """
    from runtime.engines.selection import select_engine
    from runtime.reselection import reselect_if_due

    engine = options.made or select_engine(options.engine, weights, threads=options.threads)
    if tells_hand(engine.manifest) != tells:
        fitting = "detnet" if tells else "mediapipe-3d"
        raise UserError(f"{weights} holds weights of a {engine.manifest.architecture}: use them with --estimator {fitting}")
    if options.reselect and options.engine == "auto":
        reselect_if_due(engine.manifest, weights, options.threads)
    return engine


class CropEstimator:
    """An `Adaptable` estimator that predicts by a crop network. Holds the tracks."""

    def __init__(
        self,
        engine: Engine,
        locate: Locator | None,
        sizes_px: PerView[tuple[int, int]],
        follow: FollowSettings = ANY_HAND,
        track: TrackSettings | None = None,
    ):
        """`sizes_px` are the frames' width and height; `track` None: by what the network tells.

        Raises UserError where a view has neither a locator nor a roi.
        """
        for view, roi in follow.roi.items():
            if locate is None and roi is None:
                raise UserError(f"the {view} view has no locator and no roi: give --roi-{view} X Y SIZE or locator weights")
        self._engine = engine
        self._locate = locate
        self._follow = follow
        self._tells_hand = tells_hand(engine.manifest)
        settings = track or (_TRACK_BY_PRESENCE if self._tells_hand else _TRACK)
        self._min_confidence = settings.min_confidence
        framing = Framing.of(engine.manifest)
        self._trackers = sizes_px.map(lambda size_px: ViewTracker(size_px, settings, framing))
        self._handedness = HandednessFilter() if follow.hand_side == "auto" else None
        self._last_seen_ns = 0
        """When a view last tracked a hand."""

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
        boxes = self._with_one_side(PerView.of(lambda view: self._candidates(pair[view])))
        hands = self._predict(pair, cameras, boxes)
        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        if any(tracker.tracking for tracker in self._trackers):
            self._last_seen_ns = captured_ns
        elif self._handedness and captured_ns - self._last_seen_ns > HANDEDNESS_TIMEOUT_NS:
            # The next hand may be the other one.
            self._handedness = HandednessFilter()
        return hands

    def lose(self, view: View) -> None:
        self._trackers[view].lose()

    def _candidates(self, frame: Frame) -> list[HandBox]:
        """Boxes that may hold the hand: the track's; those of the locator where there is no track or it is uncertain."""
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
        return [hypothesis for box in boxes for hypothesis in roll_hypotheses(box, self.manifest.upright)]

    def _with_one_side(self, boxes: PerView[list[HandBox]]) -> PerView[list[HandBox]]:
        """The boxes with one side for both views: that of the handedness filter, at first that of the locator's best box."""
        if self._handedness is None:
            return boxes
        if self._handedness.side is None:
            found = [box for view_boxes in boxes for box in view_boxes]
            if not found:
                return boxes
            best = max(found, key=lambda box: box.score)
            self._handedness.start(best.side, best.score)
        side = self._handedness.side
        assert side is not None
        self._take_side(side)
        return boxes.map(lambda view_boxes: [replace(box, side=side) for box in view_boxes])

    def _take_side(self, side: Side) -> None:
        for tracker in self._trackers:
            tracker.take_side(side)

    def _predict(
        self, pair: FramePair, cameras: PerView[PinholeCamera], boxes: PerView[list[HandBox]]
    ) -> PerView[ViewHand | None]:
        """Each view's hand, of its candidates the most confident one; None where no prediction is plausible."""
        candidates = [box for view_boxes in boxes for box in view_boxes]
        if not candidates:
            return PerView(None, None)
        both_sides = self._handedness is not None and not self._tells_hand and self._handedness.due()
        others = [mirrored(box) for box in candidates] if both_sides else []
        requests = [CropRequest(box, cameras[box.view], pair[box.view].image) for box in candidates + others]
        predictions = predict_crops(self._engine, requests)
        chosen, other_side = (
            _best(predictions[: len(candidates)]),
            _best(predictions[len(candidates) :]),
        )
        margins = _told_margins(chosen) if self._tells_hand else _right_margins(chosen, other_side) if both_sides else {}
        if self._handedness and self._tells_hand and self._hear_handedness(chosen):
            chosen = predict_crops(self._engine, [replace(p.request, box=mirrored(p.box)) for p in chosen])
            self._take_side(chosen[0].box.side)
        elif both_sides and self._update_handedness(chosen, other_side):
            chosen = other_side
            self._take_side(chosen[0].box.side)
        found: dict[View, ViewHand] = {}
        final = refine_predictions(self._engine, chosen)
        inferred_ns = time.monotonic_ns()
        for first, prediction in zip(chosen, final, strict=True):
            tracker, captured_ns = self._trackers[prediction.hand.view], pair[prediction.hand.view].captured_ns
            if first.box != tracker.box_at(captured_ns):
                tracker.start(captured_ns, first.box)
            contradicts = prediction.same_side is not None and prediction.same_side < MIN_SAME_SIDE
            if tracker.update(captured_ns, prediction.hand, prediction.shows_hand, contradicts=contradicts):
                margin = margins.get(prediction.hand.view)
                found[prediction.hand.view] = replace(prediction.hand, inferred_ns=inferred_ns, right_margin=margin)
        return PerView.of(found.get)

    def _hear_handedness(self, predictions: list[CropPrediction]) -> bool:
        """Give the filter what the network says of each view; whether its side changed."""
        assert self._handedness is not None
        before = self._handedness.side
        for prediction in predictions:
            if prediction.shows_hand >= self._min_confidence:
                right = _right_probability(prediction)
                self._handedness.add(right, 1 - right)
        return self._handedness.side != before

    def _update_handedness(self, predictions: list[CropPrediction], other_side: list[CropPrediction]) -> bool:
        """Give the filter both predictions of each view; whether its side changed."""
        assert self._handedness is not None
        before = self._handedness.side
        for prediction, other in zip(predictions, other_side, strict=True):
            if max(prediction.confidence, other.confidence) < self._min_confidence:
                continue
            confidences = {prediction.box.side: prediction.confidence, other.box.side: other.confidence}
            self._handedness.add(confidences["right"], confidences["left"])
        return self._handedness.side != before


def _best(predictions: list[CropPrediction]) -> list[CropPrediction]:
    """Of each view's predictions the best one, left view first."""
    of_view = (tuple(prediction for prediction in predictions if prediction.hand.view == view) for view in VIEWS)
    return [max(same, key=lambda prediction: prediction.preference) for same in of_view if same]


def _right_probability(prediction: CropPrediction) -> float:
    """That it is a right hand, by a network that tells."""
    assert prediction.same_side is not None
    return prediction.same_side if prediction.box.side == "right" else 1 - prediction.same_side


def _told_margins(predictions: list[CropPrediction]) -> dict[View, float]:
    """Probability of a right hand minus that of a left hand, of each view."""
    return {one.hand.view: 2 * _right_probability(one) - 1 for one in predictions}


def _right_margins(predictions: list[CropPrediction], other_side: list[CropPrediction]) -> dict[View, float]:
    """Confidence as a right hand minus that as a left hand, of each view that was predicted as both."""
    both = zip(predictions, other_side, strict=True)
    return {
        one.hand.view: (one.confidence - mirrored.confidence) * (1 if one.box.side == "right" else -1) for one, mirrored in both
    }
