"""What is known of one hand over time: its handedness, whether both views follow it, its fit and its smoothing.

The hand is merged by the rotation between the cameras, or fitted to their full geometry where the rig asks for that; from one to
the other it is blended over a short time, so that it does not jump.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView, View
from hand.joints import unit_hand
from runtime.calibration.self_calibrator import CalibrationState
from runtime.estimators.estimator import HANDEDNESS_TIMEOUT_NS
from runtime.fusion.cross_view import CrossViewConsistency
from runtime.fusion.hand_fit import FitSettings, FittedHand, HandFit
from runtime.fusion.merge import MergedHand, MergeRule, carry, merge
from runtime.fusion.rig import Rig
from runtime.fusion.smoothing import OneEuroFilter, OneEuroSettings
from runtime.geometry.rotation_estimator import MAX_ROTATION_UNCERTAINTY_DEG
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import Side, ViewHand

BLEND_NS = 400_000_000
"""Time that a hand takes from where the rotation has it to where the geometry has it, and back."""


@dataclass(frozen=True, slots=True)
class FusedHand:
    """One hand of one or two views, and the cameras that it was made with."""

    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    weight_left: np.ndarray
    """(21,) share of the left view."""
    R_right_from_left: np.ndarray | None
    rotation_uncertainty_deg: float | None
    """None for a given calibration that hands have not confirmed."""
    geometry: TwoViewGeometry | None = None
    """The cameras that the hand was fitted to, however its joints were merged; None where none are known, as the next two."""
    wrist_mm: np.ndarray | None = None
    """(3,) of the fitted hand, left camera's axes."""
    reprojection_px: float | None = None
    """Of the fitted hand, root mean square, see `FittedHand`."""
    axes: View = "left"
    """Whose camera's axes `joints` are in."""
    sigma_mm: np.ndarray | None = None
    """(21,) see `FittedHand`; None where `joints` are not the fitted hand's alone."""


@dataclass(frozen=True, slots=True)
class HandTrackSettings:
    """How two views' hands become one."""

    rule: MergeRule
    beta: float
    """Of the rule `softmax`."""
    hand_size_mm: float
    smooth: OneEuroSettings | None
    """None switches all smoothing off."""


class HandTrack:
    """One hand, pair after pair. Reads the rig and changes nothing in it."""

    def __init__(self, rig: Rig, settings: HandTrackSettings):
        self.fitted: FittedHand | None = None
        """The newest hand that was fitted to the cameras: what adaptation learns from."""
        self._rig = rig
        self._settings = settings
        self._consistency = CrossViewConsistency()
        self._side: Side | None = None
        """Of the last hand."""
        self._last_seen_ns = 0
        """When it was seen."""
        self._filter = OneEuroFilter(settings.smooth) if settings.smooth else None
        self._filtered: tuple[Side | None, View] | None = None
        """Handedness and axes of what the filter knows."""
        self._fit: HandFit | None = None
        self._fitted_to = CalibrationState()
        self._geometry_share = 0.0
        """Of the geometry in the last hand, in [0, 1]."""
        self._last_ns: int | None = None
        """When there was a hand last."""

    def corrects_side(self, captured_ns: int, hands: PerView[ViewHand | None]) -> bool:
        """Whether these hands show that the last ones had the wrong handedness; after a long absence it may be the other hand."""
        side = side_of(hands)
        if side is None:
            return False
        corrects = self._side is not None and side != self._side and captured_ns - self._last_seen_ns <= HANDEDNESS_TIMEOUT_NS
        self._side, self._last_seen_ns = side, captured_ns
        return corrects

    def inconsistent_view(self, hands: PerView[ViewHand | None]) -> View | None:
        """The view that follows something else than this hand; None if there is none. See `CrossViewConsistency`."""
        return self._consistency.inconsistent_view(hands, self._rig.reliable_rotation)

    def fuse(self, captured_ns: int, hands: PerView[ViewHand | None], *, left_absent: bool = False) -> FusedHand | None:
        """One hand; None where no view has one, or where only the right one has and the rotation is unknown.

        In that case, with `left_absent`, the hand is given in the axes of the right camera, the only one that there is.
        """
        merged = self._smoothed(captured_ns, hands, self._merged(hands))
        rotation, state = self._rig.rotation, self._rig.state
        R: np.ndarray | None = rotation.rotation
        uncertainty_deg: float | None = rotation.uncertainty_deg
        geometry = state.geometry
        if geometry is not None:
            R = geometry.R_right_from_left
            uncertainty_deg = None if state.uncertainty is None else state.uncertainty.rotation_deg
        self._use_cameras(state)
        fitted = self.fitted = self._fit(captured_ns, hands) if self._fit is not None else None
        if merged is None and fitted is None:
            return self._of_right_alone(captured_ns, hands, uncertainty_deg) if left_absent else None
        share = self._blend(captured_ns, self._rig.merges_by_geometry and fitted is not None)
        if fitted is None or geometry is None:
            return None if merged is None else FusedHand(merged.joints, merged.weight_left, R, uncertainty_deg)
        joints, weight, sigma_mm = fitted.joints, fitted.weight_left, fitted.sigma_mm
        if merged is not None and share < 1:
            joints = unit_hand(share * joints + (1 - share) * merged.joints)
            weight, sigma_mm = share * weight + (1 - share) * merged.weight_left, None
        return FusedHand(joints, weight, R, uncertainty_deg, geometry, fitted.wrist_mm, fitted.reprojection_px, sigma_mm=sigma_mm)

    def _use_cameras(self, state: CalibrationState) -> None:
        """Fit to the rig's cameras from now on; the fit keeps the hand's motion where only the cameras are refined."""
        if state is self._fitted_to:
            return
        self._fitted_to = state
        if state.geometry is None or state.bones is None:
            self._fit = None
            return
        how = FitSettings() if self._settings.smooth else FitSettings(motion=None)
        fit = self._fit or HandFit(state.geometry, state.bones, self._settings.hand_size_mm, how)
        self._fit = fit.with_geometry(state.geometry, state.bones)

    def _merged(self, hands: PerView[ViewHand | None]) -> MergedHand | None:
        # By the rotation that was found without a geometry: the hand is blended from there, and validation compares with that.
        rotation = self._rig.rotation
        R, reliable = rotation.rotation, rotation.uncertainty_deg <= MAX_ROTATION_UNCERTAINTY_DEG
        if hands.left is not None and hands.right is not None and R is not None and reliable:
            return merge(PerView(hands.left, hands.right), R, self._settings.rule, self._settings.beta)
        return carry(hands, self._rig.reliable_rotation if R is None else R)

    def _of_right_alone(
        self, captured_ns: int, hands: PerView[ViewHand | None], uncertainty_deg: float | None
    ) -> FusedHand | None:
        """The right view's hand in that camera's axes."""
        if hands.right is None:
            return None
        own = MergedHand(unit_hand(hands.right.joints), np.zeros(len(hands.right.joints)))
        alone = self._smoothed(captured_ns, hands, own, "right")
        assert alone is not None
        return FusedHand(alone.joints, alone.weight_left, None, uncertainty_deg, axes="right")

    def _smoothed(
        self, captured_ns: int, hands: PerView[ViewHand | None], merged: MergedHand | None, axes: View = "left"
    ) -> MergedHand | None:
        """A merged hand is smoothed here; a fitted one by its fit."""
        if merged is None or self._filter is None:
            return merged
        filtered = side_of(hands), axes
        if filtered != self._filtered:
            self._filter.reset()
            self._filtered = filtered
        return replace(merged, joints=unit_hand(self._filter(captured_ns, merged.joints)))

    def _blend(self, captured_ns: int, to_geometry: bool) -> float:
        """The geometry's share now. There is nothing to blend from at the first hand."""
        step = 1.0 if self._last_ns is None else max(captured_ns - self._last_ns, 0) / BLEND_NS
        self._last_ns = captured_ns
        self._geometry_share = float(np.clip(self._geometry_share + (step if to_geometry else -step), 0, 1))
        return self._geometry_share


def side_of(hands: PerView[ViewHand | None]) -> Side | None:
    """The handedness of both views' hands; None where neither sees one."""
    return next((hand.side for hand in hands if hand is not None), None)
