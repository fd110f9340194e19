"""Two views' hands to one: by the rotation between the cameras, or by their full geometry once that is known.

Geometry is taken where it is sure and, with `auto`, better than the rotation by held-out evidence
(`runtime.fusion.merge_validation`); between the two the hand glides.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.joints import unit_hand
from runtime.calibration.self_calibrator import CalibrationState, SelfCalibrator
from runtime.calibration.solver_process import Solver
from runtime.calibration.status import CalibrationStatus, MergeDecision
from runtime.fusion.hand_fit import FitSettings, FittedHand, HandFit
from runtime.fusion.merge import MergedHand, MergeRule, carry, merge
from runtime.fusion.merge_validation import MergeValidation
from runtime.fusion.smoothing import OneEuroFilter, OneEuroSettings
from runtime.geometry.rotation_estimator import SURE_DEG, RotationEstimator
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side, ViewHand

MergeChoice = Literal["auto", "geometry", "rotation"]
GLIDE_NS = 400_000_000
"""Time that a hand takes from where the rotation has it to where the geometry has it, and back."""


@dataclass(frozen=True, slots=True)
class FusedHand:
    """One hand of one or two views, and by what it was made."""

    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    weight_left: np.ndarray
    """(21,) share of the left view."""
    R_right_from_left: np.ndarray | None
    rotation_uncertainty_deg: float
    geometry: TwoViewGeometry | None = None
    wrist_mm: np.ndarray | None = None
    reprojection_px: float | None = None


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """How two hands become one."""

    choice: MergeChoice
    rule: MergeRule
    beta: float
    """Of the rule `softmax`."""
    hand_size_mm: float
    smooth: OneEuroSettings | None
    """None switches all smoothing off."""


class Fusion:
    """Learns how the cameras stand to each other, and makes one hand of what they see."""

    def __init__(self, settings: FusionSettings, calibrator: SelfCalibrator | None, solver: Solver | None):
        self.rotation = RotationEstimator()
        self.fitted: FittedHand | None = None
        """The newest hand that was fitted to the cameras: what adaptation learns from."""
        self._settings = settings
        self._smooth = OneEuroFilter(settings.smooth) if settings.smooth else None
        self._side: Side | None = None
        self._calibrator = None if settings.choice == "rotation" else calibrator
        self._solver = solver
        self._held_out = MergeValidation()
        self._state = CalibrationState()
        self._fit: HandFit | None = None
        self._better: tuple[float, float] | None = None
        """Errors in hands, by geometry and by rotation, of foretold finger tips."""
        self._share = 0.0
        """Of the geometry in the hand shown."""
        self._last_ns: int | None = None

    def learn(self, captured_ns: int, hands: PerView[ViewHand | None]) -> None:
        """Take in what both views saw, and what came of calibrating meanwhile."""
        left, right = hands.left, hands.right
        if left is not None and right is not None:
            pair = PerView(left, right)
            self.rotation.update(captured_ns, left.joints, right.joints, np.sqrt(left.confidence * right.confidence))
            if self._calibrator is not None and not self._held_out.takes(pair):
                self._calibrator.add(captured_ns, pair)
        if self._calibrator is None or self._solver is None:
            return
        try:
            problem = self._calibrator.due(captured_ns)
            if problem is not None:
                self._solver.submit(problem)
            done = self._solver.done()
        except (EOFError, OSError):
            # Its process was killed. The hand goes on with what is known of the cameras.
            self._solver = None
            self._calibrator.stop()
            return
        if done is not None:
            self._calibrator.accept(*done)
        if self._calibrator.state.version != self._state.version:
            self._changed(self._calibrator.state)

    def __call__(self, captured_ns: int, hands: PerView[ViewHand | None]) -> FusedHand | None:
        """One hand; None where no view has one, or where only the right has and nothing tells how the cameras stand."""
        merged = self._smoothed(captured_ns, hands, self._merged(hands))
        R, uncertainty_deg = self.rotation.rotation, self.rotation.uncertainty_deg
        geometry, told = self._state.geometry, self._state.uncertainty
        if geometry is not None and told is not None:
            R, uncertainty_deg = geometry.R_right_from_left, told.rotation_deg
        fitted = self.fitted = self._fit(captured_ns, hands) if self._fit is not None else None
        wanted = self._wants_geometry
        share = self._glide(captured_ns, wanted and fitted is not None)
        if fitted is None or geometry is None or not (wanted or share > 0):
            return None if merged is None else FusedHand(merged.joints, merged.weight_left, R, uncertainty_deg)
        joints, weight = fitted.joints, fitted.weight_left
        if merged is not None and share < 1:
            joints = unit_hand(share * joints + (1 - share) * merged.joints)
            weight = share * weight + (1 - share) * merged.weight_left
        return FusedHand(joints, weight, R, uncertainty_deg, geometry, fitted.wrist_mm, fitted.reprojection_px)

    def forget(self) -> None:
        """What was learnt of hands of the wrong side is wrong."""
        self.rotation = RotationEstimator()
        self._held_out.forget()
        if self._calibrator is not None:
            self._calibrator.forget()
            self._changed(self._calibrator.state)

    def cameras(self, cameras: PerView[PinholeCamera]) -> PerView[PinholeCamera]:
        """The cameras as they are known by now."""
        return cameras if self._state.geometry is None else self._state.geometry.cameras

    @property
    def state(self) -> CalibrationState:
        return self._state

    @property
    def sure_rotation(self) -> np.ndarray | None:
        """(3, 3) R_right_from_left, None while it is too unsure to merge by."""
        if self._state.geometry is not None:
            return self._state.geometry.R_right_from_left
        return self.rotation.rotation if self.rotation.uncertainty_deg <= SURE_DEG else None

    @property
    def status(self) -> CalibrationStatus | None:
        """How far the calibration has come; None where nothing is calibrated."""
        if self._calibrator is None:
            return None
        status = self._calibrator.status
        if self._state.geometry is None:
            return status
        if self._wants_geometry:
            return replace(status, merge=MergeDecision.GEOMETRY)
        return replace(status, merge=MergeDecision.ROTATION if self._better else MergeDecision.COMPARING)

    @property
    def _wants_geometry(self) -> bool:
        """Whether the hand is to come from the geometry."""
        if self._state.geometry is None:
            return False
        return self._settings.choice == "geometry" or (self._better is not None and self._better[0] < self._better[1])

    def _changed(self, state: CalibrationState) -> None:
        """Take over new cameras, or that they are lost."""
        if state.moved != self._state.moved:
            # Pairs of before tell nothing of how the cameras are turned now.
            self.rotation = RotationEstimator()
            self._held_out.forget()
        self._state = state
        self._better = None
        if state.geometry is None or state.bones is None:
            self._fit = None
            return
        how = FitSettings() if self._settings.smooth else FitSettings(motion=None)
        fit = self._fit or HandFit(state.geometry, state.bones, self._settings.hand_size_mm, how)
        self._fit = fit.with_geometry(state.geometry, state.bones)
        R = self.rotation.rotation if self.rotation.rotation is not None else state.geometry.R_right_from_left
        self._better = self._held_out.errors(state.geometry, state.bones, self._settings.hand_size_mm, R)

    def _merged(self, hands: PerView[ViewHand | None]) -> MergedHand | None:
        # By the rotation that was found without a geometry: the hand glides from there, and evidence compares with that.
        R, sure = self.rotation.rotation, self.rotation.uncertainty_deg <= SURE_DEG
        if hands.left is not None and hands.right is not None and R is not None and sure:
            return merge(PerView(hands.left, hands.right), R, self._settings.rule, self._settings.beta)
        return carry(hands, self.sure_rotation if R is None else R)

    def _smoothed(self, captured_ns: int, hands: PerView[ViewHand | None], merged: MergedHand | None) -> MergedHand | None:
        """A merged hand is smoothed here; a fitted one by its fit."""
        if merged is None or self._smooth is None:
            return merged
        side: Side = next(hand.side for hand in hands if hand is not None)
        if side != self._side:
            self._smooth.reset()
            self._side = side
        return replace(merged, joints=unit_hand(self._smooth(captured_ns, merged.joints)))

    def _glide(self, captured_ns: int, to_geometry: bool) -> float:
        """The geometry's share now."""
        passed = 0 if self._last_ns is None else max(captured_ns - self._last_ns, 0)
        self._last_ns = captured_ns
        step = passed / GLIDE_NS
        self._share = float(np.clip(self._share + (step if to_geometry else -step), 0, 1))
        return self._share
