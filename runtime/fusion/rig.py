"""What is known of the two cameras of a stream: rotation, calibration, and which of both merges a hand better.

A stream has one rig; what is known of each hand is in `runtime.fusion.hand_track`.
"""

from dataclasses import replace
from typing import Literal

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from runtime.calibration.recordings.known_cameras import KnownCalibrator
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.calibration.solver_process import Solver
from runtime.calibration.status import CalibrationStatus, MergeDecision
from runtime.fusion.merge_validation import MergeErrors, MergeValidation, prefers_rotation
from runtime.geometry.rotation_estimator import MAX_ROTATION_UNCERTAINTY_DEG, RotationEstimator
from runtime.types import ViewHand

Calibrator = SelfCalibrator | KnownCalibrator
"""What the cameras come from: hands, or a user; or an earlier pass over the same recording."""
MergeChoice = Literal["auto", "geometry", "rotation"]
"""By what two views are merged; `auto` takes the geometry unless the rotation predicts held-out finger tips clearly better."""
COMPARE_INTERVAL_NS = 1_000_000_000
"""Between two comparisons of both with the same cameras."""


class Rig:
    """The cameras' rotation, self-calibration and merge validation, updated pair by pair. Used by one thread."""

    def __init__(self, choice: MergeChoice, hand_size_mm: float, calibrator: Calibrator | None, solver: Solver | None):
        """Without `calibrator` and `solver`, or with the choice `rotation`, there is no calibration."""
        self.rotation = RotationEstimator()
        self.merge_errors: MergeErrors | None = None
        """Of the geometry in use; None without one, or while too few held-out pairs were seen."""
        self._choice: MergeChoice = choice
        self._prefers_rotation = False
        self._compared_ns = 0
        self._hand_size_mm = hand_size_mm
        self._calibrator = None if choice == "rotation" else calibrator
        self._solver = solver
        self._validation = MergeValidation()
        self._state = CalibrationState()

    def update(self, captured_ns: int, hands: PerView[ViewHand | None]) -> None:
        """Take in the hands of a pair, and the solution that the solver has finished meanwhile, if any."""
        left, right = hands.left, hands.right
        if left is not None and right is not None:
            pair = PerView(left, right)
            self.rotation.update(captured_ns, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
            if self._calibrator is not None:
                take = self._calibrator.hold_out if self._validation.holds_out(pair) else self._calibrator.add
                take(captured_ns, pair)
        if self._calibrator is None:
            return
        self._solve(captured_ns, self._calibrator)
        if self._calibrator.state.version != self._state.version:
            self._apply(captured_ns, self._calibrator.state)
        elif self._state.geometry is not None and captured_ns - self._compared_ns >= COMPARE_INTERVAL_NS:
            self._compare(captured_ns)

    def _solve(self, captured_ns: int, calibrator: Calibrator) -> None:
        """Give the solver its next problem, and take the solution that it has finished."""
        if self._solver is None:
            return
        try:
            problem = calibrator.due(captured_ns)
            if problem is not None:
                self._solver.submit(problem)
            done = self._solver.done()
        except (EOFError, OSError):
            # Its process was killed. The stream goes on with what is known of the cameras.
            self._solver = None
            calibrator.stop()
            return
        if done is not None:
            calibrator.accept(*done)

    def forget(self) -> None:
        """Reset rotation and calibration: earlier hands had the wrong handedness. A calibration that the user gave stays."""
        self.rotation = RotationEstimator()
        self._validation.clear()
        if self._calibrator is not None:
            self._calibrator.forget()
            self._apply(self._compared_ns, self._calibrator.state)

    def cameras(self, cameras: PerView[PinholeCamera]) -> PerView[PinholeCamera]:
        """The calibrated cameras; `cameras` until there are any."""
        return cameras if self._state.geometry is None else self._state.geometry.cameras

    @property
    def calibrator(self) -> Calibrator | None:
        """Where the cameras come from; None where nothing is calibrated."""
        return self._calibrator

    @property
    def state(self) -> CalibrationState:
        """What calibration has found, as it is in use."""
        return self._state

    @property
    def status(self) -> CalibrationStatus | None:
        """How far the calibration has come; None where nothing is calibrated."""
        if self._calibrator is None:
            return None
        status = self._calibrator.status
        if self._state.geometry is None:
            return status
        if self.merges_by_geometry:
            return replace(status, merge=MergeDecision.GEOMETRY)
        return replace(status, merge=MergeDecision.COMPARING if self._comparing else MergeDecision.ROTATION)

    @property
    def reliable_rotation(self) -> np.ndarray | None:
        """(3, 3) R_right_from_left; None while it is too uncertain to merge by."""
        if self._state.geometry is not None and self._state.uncertainty is not None:
            return self._state.geometry.R_right_from_left
        # Also while hands have not confirmed a given calibration: a wrong one would make each view's hand another.
        return self.rotation.rotation if self.rotation.uncertainty_deg <= MAX_ROTATION_UNCERTAINTY_DEG else None

    @property
    def merges_by_geometry(self) -> bool:
        """Whether hands are to come from the geometry, and not from the rotation alone."""
        if self._state.geometry is None:
            return False
        if self._choice == "geometry":
            return True
        if self._state.contradicted:
            return False
        # A given geometry is used from the first pair on, one that was found once some held-out pairs were seen.
        return not self._prefers_rotation and (self._given or self.merge_errors is not None)

    @property
    def _comparing(self) -> bool:
        """Whether too few held-out pairs say which is better."""
        return self.merge_errors is None and not self._prefers_rotation and not self._state.contradicted

    @property
    def _given(self) -> bool:
        return self._calibrator is not None and self._calibrator.given

    def _apply(self, captured_ns: int, state: CalibrationState) -> None:
        """Use new cameras, or none where they are no longer known."""
        if state.moved != self._state.moved:
            # Earlier pairs say nothing about the cameras' present rotation.
            self.rotation = RotationEstimator()
            self._validation.clear()
        if state.geometry is None:
            self._prefers_rotation = False
        self._state = state
        self._compare(captured_ns)

    def _compare(self, captured_ns: int) -> None:
        """Judge again by which of both the held-out pairs are predicted better."""
        state = self._state
        self._compared_ns = captured_ns
        if state.geometry is None or state.bones is None:
            self.judge_merge(None)
            return
        R = self.rotation.rotation if self.rotation.rotation is not None else state.geometry.R_right_from_left
        self.judge_merge(self._validation.errors(state.geometry, state.bones, self._hand_size_mm, R))

    def judge_merge(self, errors: MergeErrors | None) -> None:
        """Keep to the present way of merging, or change it, by how well both ways predict held-out pairs."""
        self.merge_errors = errors
        self._prefers_rotation = prefers_rotation(errors, self._prefers_rotation)
