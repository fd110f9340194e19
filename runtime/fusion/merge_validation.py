"""Whether merging by geometry is better than merging by rotation: both predict finger tips that are hidden from them.

It is judged on held-out pairs, which the cameras were not calibrated on. In one view the tips are hidden; both ways of merging
predict them from the rest of the hand there and all of it in the other view. The hidden pixels give each prediction's error.

The rotation has it somewhat easier than its hands are good: what it leaves wrong in depth the hidden pixels hardly show. So the
cameras' geometry, once it is known, is kept until the rotation is clearly better (`prefers_rotation`).
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.joints import TIPS
from runtime.calibration.initialization import wrist_position
from runtime.estimators.uncertainty import px_per_hand, sigma_px
from runtime.fusion.hand_fit import HandFit
from runtime.fusion.merge import merge
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand

HOLD_OUT_INTERVAL = 5
"""One in so many pairs is held out."""
MAX_HELD_OUT = 12
"""Only the newest pairs are kept."""
MIN_HELD_OUT = 4
"""With fewer, no errors are given."""
MIN_TO_LEAVE = 8
"""Held-out pairs that it takes to leave the geometry for the rotation."""
LEAVE_RATIO, RETURN_RATIO = 0.8, 0.95
"""The rotation's error over the geometry's, below which the geometry is left, and from which it is returned to: between them all
stays as it is."""
_NO_CONFIDENCE = 0.0
"""Confidence of a joint that must not be used."""


@dataclass(frozen=True, slots=True)
class MergeErrors:
    """Median distances, in hands, of predicted finger tips from where they are seen."""

    by_geometry: float
    by_rotation: float
    pairs: int = MAX_HELD_OUT
    """Held-out pairs that they were found on."""


def prefers_rotation(errors: MergeErrors | None, before: bool) -> bool:
    """Whether hands are to come from the rotation although the geometry is known; `before`: whether they did until now."""
    if errors is None:
        return before
    # Products, as the errors of a geometry that sees no hand are infinite.
    if before:
        return errors.by_rotation < RETURN_RATIO * errors.by_geometry
    return errors.pairs >= MIN_TO_LEAVE and errors.by_rotation < LEAVE_RATIO * errors.by_geometry


class MergeValidation:
    """Holds the newest pairs that the cameras were not calibrated on."""

    def __init__(self) -> None:
        self._pairs: deque[PerView[ViewHand]] = deque(maxlen=MAX_HELD_OUT)
        self._pairs_added = 0
        self._fitted_to: tuple[TwoViewGeometry, np.ndarray] | None = None
        """Geometry and bones of `_by_geometry`."""
        self._by_geometry: deque[list[float]] = deque(maxlen=MAX_HELD_OUT)
        """Of the oldest pairs; those of newer ones are not computed yet."""

    def holds_out(self, hands: PerView[ViewHand]) -> bool:
        """Whether this pair is held out, and so must not be calibrated on."""
        self._pairs_added += 1
        if self._pairs_added % HOLD_OUT_INTERVAL:
            return False
        if len(self._pairs) == MAX_HELD_OUT and self._by_geometry:
            self._by_geometry.popleft()
        self._pairs.append(hands)
        return True

    def clear(self) -> None:
        self._pairs.clear()
        self._by_geometry.clear()

    def errors(
        self, geometry: TwoViewGeometry, bones: np.ndarray, hand_size_mm: float, R_right_from_left: np.ndarray
    ) -> MergeErrors | None:
        """How well the geometry, and the rotation alone, predict hidden finger tips; None while there are too few pairs."""
        if len(self._pairs) < MIN_HELD_OUT:
            return None
        if self._fitted_to is None or self._fitted_to[0] is not geometry or self._fitted_to[1] is not bones:
            self._fitted_to = geometry, bones
            self._by_geometry.clear()
        for pair in list(self._pairs)[len(self._by_geometry) :]:
            self._by_geometry.append([_by_geometry(pair, view, geometry, bones, hand_size_mm) for view in VIEWS])
        by_rotation = [_by_rotation(pair, view, geometry, R_right_from_left) for pair in self._pairs for view in VIEWS]
        return MergeErrors(float(np.median(self._by_geometry)), float(np.median(by_rotation)), len(self._pairs))


def _without_tips(hand: ViewHand) -> ViewHand:
    confidence = hand.confidence.copy()
    confidence[list(TIPS)] = _NO_CONFIDENCE
    return replace(hand, confidence=confidence)


def _tip_error(pixels: np.ndarray, hand: ViewHand) -> float:
    """Mean distance of predicted tips, rows of `pixels` (21, 2), from those seen, hands."""
    tips = list(TIPS)
    scale = float(px_per_hand(hand.joints, hand.pixels)[0])
    return float(np.linalg.norm(pixels[tips] - hand.pixels[tips], axis=1).mean()) / scale


def _by_geometry(pair: PerView[ViewHand], view: View, geometry: TwoViewGeometry, bones: np.ndarray, hand_size_mm: float) -> float:
    hands = PerView.of(lambda v: _without_tips(pair[v]) if v == view else pair[v])
    fitted = HandFit(geometry, bones, hand_size_mm)(0, hands)
    return float("inf") if fitted is None else _tip_error(fitted.pixels[view], pair[view])


def _by_rotation(pair: PerView[ViewHand], view: View, geometry: TwoViewGeometry, R_right_from_left: np.ndarray) -> float:
    hands = PerView.of(lambda v: _without_tips(pair[v]) if v == view else pair[v])
    joints = merge(hands, R_right_from_left).joints
    own = joints if view == "left" else joints @ R_right_from_left.T
    camera = geometry.cameras[view]
    hidden = hands[view]
    place = wrist_position(own, hidden.pixels, sigma_px(hidden), camera.focal_px, np.array(camera.centre_px))
    return _tip_error(camera.project(own + place), pair[view])
