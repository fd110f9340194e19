"""A teacher for unlabelled hands: any estimator, together with the self-calibration of the cameras on its predictions.

Live, `GeometryTeacher` labels pairs as they come, once the cameras are calibrated. A recording is read twice:
`calibrate_recording` finds the places from all of it, `label_recording` then labels every pair by them, the first ones too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from adapt.core.geometry_labels import LabelledPair, view_labels
from capture.frames import FramePair
from capture.views import PerView, View
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.findings import Finding, Findings
from hand.joints import MIDDLE_MCP, WRIST
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.calibration.solver_process import InlineSolver
from runtime.calibration.status import CalibrationStatus
from runtime.calibration_pass import CalibrationPass
from runtime.estimators.estimator import Estimator
from runtime.fusion.hand_fit import FittedHand
from runtime.geometry.two_view import TwoViewGeometry
from runtime.pipeline import Pipeline, PipelineSettings
from runtime.types import DualHand, ViewHand
from runtime.watch.run_watch import RunWatch

MAX_RESIDUAL = 0.1
"""Root mean square distance, in hands, of a fit's pixels from those that both views saw, beyond which it gives no label: then
one of them saw something else, or a camera was moved."""
UNKNOWN_FOV: PerView[float | None] = PerView(None, None)


class GeometryTeacher:
    """Labels what a pipeline sees, by the geometry that it finds. Holds nothing but the pipeline; does no input or output."""

    def __init__(self, pipeline: Pipeline, most_residual: float = MAX_RESIDUAL):
        """`pipeline` has a calibrator and a solver, and merges by geometry once the cameras are calibrated."""
        self.pipeline = pipeline
        self._most_residual = most_residual

    def __call__(self, pair: FramePair) -> LabelledPair | None:
        """The labels of a pair; None while the cameras are not calibrated, where a view sees no hand, or for a poor fit."""
        return self.label(pair, self.pipeline.step(pair))

    def label(self, pair: FramePair, hands: list[DualHand]) -> LabelledPair | None:
        """The same of a pair that the pipeline has just processed, and the hands that it returned."""
        geometry, fitted = self.pipeline.rig.state.geometry, self.fitted(hands)
        if geometry is None or fitted is None:
            return None
        return LabelledPair(pair, view_labels(fitted, hands[0].side, geometry))

    def fitted(self, hands: list[DualHand]) -> FittedHand | None:
        """The fit that labels would come from, of the hands that the pipeline has just returned; None where there are none."""
        geometry, fitted = self.pipeline.rig.state.geometry, self.pipeline.track.fitted
        if geometry is None or fitted is None or not hands or None in (hands[0].views.left, hands[0].views.right):
            return None
        return fitted if is_good_fit(fitted, geometry, self._most_residual) else None


@dataclass(frozen=True, slots=True)
class RecordingCalibration:
    """Calibration of a recording, and where hands were found in it."""

    pairs: int
    seen: PerView[int]
    """Frames with a hand, by view."""
    both: int
    """Pairs with a hand in both views."""
    state: CalibrationState
    """Without a geometry where the calibration was never accepted."""
    status: CalibrationStatus
    """Of the calibration at the end: why there is no geometry, where there is none."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with what the cameras show."""


def calibrate_recording(
    pairs: Iterable[FramePair], estimator: Estimator, fov_deg: PerView[float | None] = UNKNOWN_FOV, *, whole: bool = True
) -> RecordingCalibration:
    """Calibrate two cameras on all of a recording; `fov_deg`: horizontal fields of view, where they are known.

    `whole`: keyframes of all of it are solved at once in the end; else the cameras are what a stream comes to.
    What is wrong with what the cameras show is logged.
    """
    counting = _CountingEstimator(estimator)
    reading: CalibrationPass | None = None
    findings = Findings()
    watch = RunWatch(findings, lambda: reading and reading.pipeline.calibration_status)
    for pair in pairs:
        reading = reading or CalibrationPass(_uncalibrated_pipeline(counting, pair, fov_deg), whole=whole)
        watch.take(pair, reading.step(pair))
    if reading is None:
        return RecordingCalibration(0, PerView(0, 0), 0, CalibrationState(), CalibrationStatus())
    reading.finish()
    status = reading.pipeline.rig.status
    assert status is not None, "a watching pipeline calibrates"
    return RecordingCalibration(
        reading.pairs,
        PerView(counting.left, counting.right),
        counting.both,
        reading.pipeline.rig.state,
        replace(status, merge=None),
        tuple(findings.all),
    )


def label_recording(pairs: Iterable[FramePair], estimator: Estimator, state: CalibrationState) -> Iterator[LabelledPair | None]:
    """Label the pairs of a recording one by one, with the calibration from `calibrate_recording`."""
    geometry = state.geometry
    assert geometry is not None, "labels need a calibration"
    sizes_px = geometry.cameras.map(lambda camera: camera.size_px)
    calibrator = SelfCalibrator(sizes_px, PerView(None, None), bones=state.bones, given=geometry)
    teacher = GeometryTeacher(_pipeline(estimator, calibrator, geometry.cameras))
    yield from map(teacher, pairs)


class _CountingEstimator:
    """Counts the hands that another estimator finds."""

    def __init__(self, estimator: Estimator):
        self._estimator = estimator
        self.left = self.right = self.both = 0

    @property
    def description(self) -> str:
        return self._estimator.description

    def __call__(self, pair: FramePair, cameras: PerView[PinholeCamera]) -> PerView[ViewHand | None]:
        hands = self._estimator(pair, cameras)
        left, right = hands.map(lambda hand: hand is not None)
        self.left, self.right, self.both = self.left + left, self.right + right, self.both + (left and right)
        return hands

    def lose(self, view: View) -> None:
        self._estimator.lose(view)


def _uncalibrated_pipeline(estimator: Estimator, first: FramePair, fov_deg: PerView[float | None]) -> Pipeline:
    """A pipeline that knows no more of the cameras than the first frames and the fields of view tell."""

    def camera(view: View) -> PinholeCamera:
        height, width = first[view].image.shape[:2]
        return PinholeCamera.from_fov(width, height, fov_deg[view] or DEFAULT_FOV_DEG)

    cameras = PerView.of(camera)
    return _pipeline(estimator, SelfCalibrator(cameras.map(lambda camera: camera.size_px), fov_deg), cameras)


def _pipeline(estimator: Estimator, calibrator: SelfCalibrator, cameras: PerView[PinholeCamera]) -> Pipeline:
    how = PipelineSettings(merge="geometry")
    return Pipeline(estimator, cameras, how, calibrator=calibrator, solver=InlineSolver())


def is_good_fit(fitted: FittedHand, geometry: TwoViewGeometry, most_residual: float = MAX_RESIDUAL) -> bool:
    """Whether a fit lies where both views saw the hand, and may give labels: by the root mean square distance of its pixels."""
    size_mm = np.linalg.norm(fitted.joints_mm[MIDDLE_MCP] - fitted.joints_mm[WRIST])
    seen_mm = geometry.in_view_axes(fitted.joints_mm)
    px_per_hand = PerView.of(lambda view: geometry.cameras[view].focal_px * size_mm / seen_mm[view][:, 2].mean())
    return bool(most_residual > 2 * fitted.reprojection_px / (px_per_hand.left + px_per_hand.right))
