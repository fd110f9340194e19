"""The pairs that live adaptation trains and validates on: few and varied, labelled by the geometry, part of them held out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapt.core.geometry_labels import view_labels
from adapt.core.geometry_teacher import is_good_fit
from adapt.core.training_samples import TrainingSample, TrainingSet
from adapt.online.status import Lacking
from capture.views import VIEWS, PerView
from hand.rotations import angle_deg
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer
from runtime.estimators.crop import HandCrop
from runtime.fusion.hand_fit import FitSettings, HandFit
from runtime.geometry.two_view import TwoViewGeometry

TRAINING, HELD_OUT = 256, 80
"""Pairs kept to train on, and to validate on."""
STRETCH_NS, HELD_OUT_EVERY = 2_000_000_000, 4
"""Pairs are held out by stretches of this length, since neighbours are alike; one stretch in so many."""
MAX_AGE_NS = 3600 * 10**9
MIN_TRAINING, MIN_HELD_OUT = 32, 12
MIN_TRAVEL = 0.3
"""Hands that joints must have moved (`KeyframeBuffer.travel`): a hand that stands still is not trained on."""
_ALIKE_DEG, _ALIKE_SHARE = 0.5, 0.02
"""Calibrations that differ by less do not relabel the pairs: live, the calibration improves a little every few seconds."""
NOVEL = 0.6
"""A pair that differs from another one by less (`KeyframeBuffer`) replaces it, and adds no steps."""


@dataclass(frozen=True, slots=True)
class Cameras:
    """Calibration of the two cameras, with the hand that it was found with."""

    geometry: TwoViewGeometry
    bones: np.ndarray
    """(20,) lengths, hands."""
    hand_size_mm: float

    def alike(self, other: "Cameras") -> bool:
        """Whether pseudo-labels would be about the same with the other's."""
        a, b = self.geometry, other.geometry
        t, u = (each.t_right_from_left_mm / np.linalg.norm(each.t_right_from_left_mm) for each in (a, b))
        focal = [abs(np.log(a.cameras[view].focal_px / b.cameras[view].focal_px)) for view in VIEWS]
        return bool(
            self.hand_size_mm == other.hand_size_mm
            and angle_deg(a.R_right_from_left, b.R_right_from_left) <= _ALIKE_DEG
            and np.degrees(np.arccos(np.clip(t @ u, -1, 1))) <= 2 * _ALIKE_DEG
            and max(focal) <= _ALIKE_SHARE
            and np.abs(np.log(self.bones / other.bones)).max() <= 2 * _ALIKE_SHARE
        )


@dataclass(frozen=True, slots=True)
class LivePair(Keyframe):
    """A pair as the stream hands it over: both views' predictions and their crops, not labelled yet.

    Crops are cut in the stream's process, so that whole frames need not be sent.
    """

    crops: PerView[HandCrop]

    def labelled(self, cameras: Cameras) -> TrainingSample | None:
        """The training sample that it gives with these cameras; None where its hands do not fit them."""
        fit = HandFit(cameras.geometry, cameras.bones, cameras.hand_size_mm, FitSettings(motion=None))
        fitted = fit(self.captured_ns, PerView(self.hands.left, self.hands.right))
        if fitted is None or not is_good_fit(fitted, cameras.geometry):
            return None
        sample = TrainingSample.of(self.captured_ns, view_labels(fitted, self.crops.left.side, cameras.geometry), self.crops)
        return sample if all(np.isfinite(sample.crops[view].joints).all() for view in VIEWS) else None


class LivePairs:
    """The pairs of one placement of two cameras."""

    def __init__(self, widths_px: PerView[int]):
        self._widths_px = widths_px
        self._labelled: dict[int, TrainingSample | None] = {}
        """By capture time, for `_labelled_with`; None for pairs that do not fit it."""
        self._labelled_with: Cameras | None = None
        self.clear()

    def add(self, pair: LivePair) -> bool:
        """Add a pair; whether it is new enough to train on."""
        stretch = pair.captured_ns // STRETCH_NS % HELD_OUT_EVERY
        if stretch == HELD_OUT_EVERY - 1:
            self._held_out.add(pair)
            return False
        return self._training.add(pair) > NOVEL

    def clear(self) -> None:
        """Drop all pairs: a camera was moved."""
        self._training: KeyframeBuffer[LivePair] = KeyframeBuffer(self._widths_px, TRAINING, MAX_AGE_NS, NOVEL)
        self._held_out: KeyframeBuffer[LivePair] = KeyframeBuffer(self._widths_px, HELD_OUT, MAX_AGE_NS, NOVEL)

    @property
    def readiness(self) -> tuple[float, Lacking | None]:
        """In [0, 1] the share of what learning needs that is there, and what lacks; 1 and None where there is enough."""
        training, held_out = len(self._training) / MIN_TRAINING, len(self._held_out) / MIN_HELD_OUT
        if min(training, held_out) < 1:
            return min(training, held_out), Lacking.PAIRS if training <= held_out else Lacking.HELD_OUT
        travel = min(self._training.travel, self._held_out.travel)
        return (travel / MIN_TRAVEL, Lacking.MOTION) if travel < MIN_TRAVEL else (1.0, None)

    def training_set(self, cameras: Cameras) -> TrainingSet | None:
        """Samples to train on; pairs that do not fit the cameras are left out. None where no pair fits."""
        return self._labelled_set(self._training.pairs, cameras)

    def held_out_set(self, cameras: Cameras) -> TrainingSet | None:
        """Samples to validate on, likewise."""
        return self._labelled_set(self._held_out.pairs, cameras)

    def _labelled_set(self, pairs: Sequence[LivePair], cameras: Cameras) -> TrainingSet | None:
        if self._labelled_with is not cameras:
            self._labelled_with, self._labelled = cameras, {}
        for pair in pairs:
            if pair.captured_ns not in self._labelled:
                self._labelled[pair.captured_ns] = pair.labelled(cameras)
        samples = [sample for sample in (self._labelled[pair.captured_ns] for pair in pairs) if sample is not None]
        kept = {pair.captured_ns for pair in (*self._training.pairs, *self._held_out.pairs)}
        self._labelled = {time: label for time, label in self._labelled.items() if time in kept}
        return TrainingSet.of(samples) if samples else None

    def __len__(self) -> int:
        return len(self._training) + len(self._held_out)
