"""Calibration of a data set's two cameras on a network's predictions for unlabelled hands, and the pseudo-labels from it.

A live stream's cameras are found pair by pair (`runtime.calibration.self_calibrator`). A data set's moments may lie anywhere in
time, and its cameras' lenses are known: so the most varied of its pairs go to the same solver at once, each for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adapt.core.geometry_labels import ViewLabel, view_labels
from adapt.core.geometry_teacher import is_good_fit
from adapt.datasets.predictions import DatasetPredictions
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.acceptance import figures_of, rejection_reason
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer, are_clear
from runtime.calibration.self_calibrator import (
    BONE_NOISE,
    BONE_SIGMA,
    EQUAL_SIGMA,
    mean_bone_lengths,
)
from runtime.calibration.solver import Problem, Solution, solve
from runtime.calibration.variables import Prior
from runtime.fusion.hand_fit import FitSettings, HandFit
from runtime.geometry.two_view import TwoViewGeometry
from runtime.reporting.calibration_text import describe_rejection
from runtime.types import ViewHand

MAX_PAIRS = 128
"""That the cameras are found from."""
MIN_PAIRS = 12
SHAPE_DISTRUST = 1.0
"""A view's own 3D hand is believed as it tells: at another moment it errs another way, a stream's errs alike for seconds."""
_APART_NS = 1_000_000_000
"""Given out as the time between two pairs: none is another's neighbour."""


@dataclass(frozen=True, slots=True)
class DatasetCameras:
    """Where the cameras are, as far as that was found."""

    R_right_from_left: np.ndarray
    """(3, 3)."""
    t_right_from_left_mm: np.ndarray
    """(3,)."""
    bones: np.ndarray
    """(20,) lengths, hands."""
    uncertainty_deg: float
    """Standard deviation of the rotation."""

    def geometry(self, cameras: PerView[PinholeCamera]) -> TwoViewGeometry:
        return TwoViewGeometry(cameras, self.R_right_from_left, self.t_right_from_left_mm)


def calibrate_dataset(predictions: Sequence[DatasetPredictions]) -> tuple[DatasetCameras | None, str]:
    """The calibration, or None where it was rejected; and a phrase on what it rests on, or why it was rejected."""
    if not predictions:
        return None, "no hands were seen"
    lenses = predictions[0].cameras
    buffer = KeyframeBuffer(lenses.map(lambda camera: camera.size_px[0]), MAX_PAIRS)
    for one in predictions:
        if are_clear(one.hands):
            seen = Keyframe.of(one.number, PerView.of(lambda view, one=one: _through(one, view, lenses[view])))
            if seen is not None:
                buffer.add(seen)
    if len(buffer) < MIN_PAIRS:
        return None, f"{len(buffer)} pairs show the hand well to both views, expected {MIN_PAIRS} or more"
    views = buffer.keypoints(lenses.map(lambda camera: np.array(camera.centre_px)), SHAPE_DISTRUST)
    log_focal = lenses.map(lambda camera: float(np.log(camera.focal_px)))
    prior = Prior(log_focal, PerView(0.0, 0.0), EQUAL_SIGMA, mean_bone_lengths(), BONE_SIGMA, BONE_NOISE)
    solution = solve(Problem(views, np.arange(len(buffer)) * _APART_NS, prior))
    if solution is None:
        return None, "no place of the cameras explains the hands"
    rejection = rejection_reason(solution)
    if rejection is not None:
        return None, describe_rejection(rejection, figures_of(solution))
    return _cameras(solution), f"{solution.pairs} pairs"


class Labeller:
    """Labels hands with the calibration, each by itself."""

    def __init__(self, cameras: DatasetCameras):
        self._cameras = cameras
        self._fits: dict[PerView[PinholeCamera], HandFit] = {}

    def __call__(self, one: DatasetPredictions) -> PerView[ViewLabel] | None:
        """Both views' labels; None where what they saw is no one hand."""
        geometry = self._cameras.geometry(one.cameras)
        fit = self._fits.get(one.cameras)
        if fit is None:
            fit = self._fits[one.cameras] = HandFit(geometry, self._cameras.bones, DEFAULT_HAND_SIZE_MM, FitSettings(motion=None))
        hands: PerView[ViewHand | None] = PerView(one.hands.left, one.hands.right)
        fitted = fit(0, hands)
        if fitted is None or not is_good_fit(fitted, geometry):
            return None
        return view_labels(fitted, one.hands.left.side, geometry)


def _through(one: DatasetPredictions, view: View, lens: PinholeCamera) -> ViewHand:
    """A hand as if it had been seen through `lens`: sequences may differ in their cameras' lenses, not in their places."""
    hand, camera = one.hands[view], one.cameras[view]
    return hand if camera == lens else replace(hand, pixels=lens.project(camera.rays(hand.pixels)))


def _cameras(solution: Solution) -> DatasetCameras:
    found = solution.cameras
    return DatasetCameras(
        found.R_right_from_left, found.t_right_from_left * DEFAULT_HAND_SIZE_MM, solution.bones, solution.uncertainty.rotation_deg
    )
