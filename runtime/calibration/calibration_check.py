"""Whether hands that both views saw fit a calibration that the user gave, and with which usual mistake undone they would.

A given calibration is a claim. It is contradicted only where other cameras explain the same hands clearly better: those of a
usual mistake undone (`runtime.calibration.hypotheses`), or any at all. Where none do, the views are at fault and not the
calibration.
"""

from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView
from runtime.calibration.bundle import Keypoints
from runtime.calibration.check_fit import (
    JOINTS_PER_HAND,
    AdjustedCameras,
    adjusted,
    agreement,
    costs,
    hand_sizes_mm,
    in_front,
    noise_of,
    shape_distances,
)
from runtime.calibration.hypotheses import GivenCalibration, Hypothesis, centre_offset, hypotheses
from runtime.calibration.initialization import from_essential
from runtime.calibration.status import CalibrationCheck, CheckOutcome, Correction
from runtime.geometry.two_view import TwoViewGeometry

CLEAR_RATIO, CLEAR_ERRORS = 1.5, 3.0
"""Other cameras are clearly better where their cost is so many times lower, and by so many standard errors over the pairs."""
FREE_RATIO, FREE_ERRORS = 1.5, 3.0
"""The same for cameras of any place, which may fit noise a little better than the right ones."""
ALIKE_RATIO = 1.15
"""Corrections whose costs differ by less are told together."""
MIN_AGREEMENT, MAX_DISTANCE = 0.85, 0.7
"""Share of the joints that agree, and distance of both views' own hands, with which cameras explain hands."""
MAX_UNEXPLAINED = 0.6
"""Share below which nothing is explained."""
MIN_SIZE, MAX_SIZE = 0.67, 1.5
"""Found sizes of the hand, as multiples of the expected one, beyond which the unit of T is in doubt: people's hands differ by a
fourth from the usual one, and a calibration by a few per cent."""
MAX_PAIRS = 28
"""Pairs that are judged, evenly spaced."""
MIN_FRONT = 0.5
"""Share of the joints before both cameras below which cameras are not considered."""
NOISE = (0.25, 2.0)
"""Bounds of the noise of pixels, as a multiple of what their views expect."""
_OFFSET_SIGMA, _OFFSET_FREE = 0.04, 0.03
"""Of a principal point from the middle of its frames, as a share of their sides: standard deviation of what is more than free."""
_FREE_FOCALS = (0.5, 2 / 3, 1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What hands say, and the calibration to use instead."""

    check: CalibrationCheck
    corrected: GivenCalibration | None = None
    """None unless the calibration is contradicted by a usual mistake."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A calibration with what it makes of the hands."""

    hypothesis: Hypothesis | None
    """None for the given one."""
    calibration: GivenCalibration
    views: PerView[Keypoints]
    cameras: AdjustedCameras
    penalty: float
    """Of its principal points."""

    def costs(self, noise: float) -> np.ndarray:
        """(F,)."""
        penalty = (self.cameras.penalty + self.penalty) / len(self.views.left.pixels) / JOINTS_PER_HAND
        return costs(self.cameras.geometry, self.views, noise) + penalty

    @property
    def explains(self) -> bool:
        return _explains(self.cameras.geometry, self.views)


def check_calibration(
    given: GivenCalibration, views: PerView[Keypoints], hand_size_mm: float, *, varied: bool = True
) -> CheckResult:
    """Judge a calibration by hands `views` in frames that are undistorted by it.

    `varied`: whether the hands moved enough that cameras of any place may be found from them.
    """
    views = _subsampled(views)
    candidates = [_candidate(given, views, None)]
    candidates += [
        _candidate(given, views, hypothesis) for hypothesis in hypotheses(given) if _is_possible(given, views, hypothesis)
    ]
    claimed = candidates[0]
    # The full search takes long, and is needed only where the claim explains nothing.
    free = _any_cameras(given, views, thorough=not claimed.explains) if varied else None
    fits = [(one.cameras.geometry, one.views) for one in candidates] + ([free] if free else [])
    noise = float(np.clip(min(noise_of(*fit) for fit in fits), *NOISE))
    cost = [one.costs(noise) for one in candidates]
    best = int(np.argmin([each.mean() for each in cost]))
    check = CalibrationCheck(
        agreement=agreement(given.geometry, views, noise), pairs=len(views.left.pixels), expected_hand_mm=hand_size_mm
    )
    if best and candidates[best].explains and _clearly(cost[0], cost[best], CLEAR_RATIO, CLEAR_ERRORS):
        return _contradicted(check, candidates, cost, best, noise, hand_size_mm)
    if free and _clearly(cost[0], costs(*free, noise), FREE_RATIO, FREE_ERRORS):
        return CheckResult(replace(check, outcome=CheckOutcome.CONTRADICTED))
    if claimed.explains:
        return _confirmed(check, given, claimed, hand_size_mm)
    if varied and free is None and agreement(claimed.cameras.geometry, views) < MAX_UNEXPLAINED:
        return _unexplained(check, given)
    return CheckResult(check)


def _unexplained(check: CalibrationCheck, given: GivenCalibration) -> CheckResult:
    """The views' fault, unless the lenses cannot be right: frames that are undistorted wrongly show hands of no camera."""
    suspect = next((one for one in hypotheses(given) if one.correction is Correction.RESOLUTION), None)
    if suspect is None:
        return CheckResult(replace(check, outcome=CheckOutcome.UNEXPLAINED))
    corrections, scale = (suspect.correction,), suspect.scale
    check = replace(check, outcome=CheckOutcome.CONTRADICTED, corrections=corrections, frame_scale=scale, view=suspect.view)
    return CheckResult(check, suspect.calibration)


def _candidate(given: GivenCalibration, views: PerView[Keypoints], hypothesis: Hypothesis | None) -> _Candidate:
    calibration = hypothesis.calibration if hypothesis else given
    seen = given.seen_by(views, calibration)
    off = np.maximum([centre_offset(lens) - _OFFSET_FREE for lens in calibration.lenses], 0)
    return _Candidate(
        hypothesis, calibration, seen, adjusted(calibration.geometry, seen), float(((off / _OFFSET_SIGMA) ** 2).sum())
    )


def _is_possible(given: GivenCalibration, views: PerView[Keypoints], hypothesis: Hypothesis) -> bool:
    seen = given.seen_by(views, hypothesis.calibration)
    return bool(in_front(hypothesis.calibration.geometry, seen).mean() >= MIN_FRONT)


def _explains(geometry: TwoViewGeometry, views: PerView[Keypoints]) -> bool:
    near = float(np.median(shape_distances(geometry, views))) <= MAX_DISTANCE
    return near and agreement(geometry, views) >= MIN_AGREEMENT


def _clearly(worse: np.ndarray, better: np.ndarray, ratio: float, errors: float) -> bool:
    """Whether costs (F,) are clearly higher than others of the same pairs, which are correlated from one pair to the next."""
    more = worse - better
    error = 2 * float(more.std()) / np.sqrt(len(more))
    return bool(worse.mean() > ratio * better.mean() and more.mean() > errors * error)


def _contradicted(
    check: CalibrationCheck, candidates: list[_Candidate], cost: list[np.ndarray], best: int, noise: float, hand_size_mm: float
) -> CheckResult:
    """By cameras with a usual mistake undone."""
    alike = [
        one.hypothesis.correction
        for one, each in zip(candidates, cost, strict=True)
        if one.hypothesis and one.explains and each.mean() < ALIKE_RATIO * cost[best].mean()
    ]
    chosen = candidates[best]
    assert chosen.hypothesis is not None
    first = chosen.hypothesis.correction
    if Correction.INVERSE in alike:
        # The usual one of those that are alike.
        chosen = next(one for one in candidates if one.hypothesis and one.hypothesis.correction is Correction.INVERSE)
        first = Correction.INVERSE
    assert chosen.hypothesis is not None
    hand_mm = _doubtful_size(chosen, hand_size_mm)
    factor = _unit_mm(hand_mm, hand_size_mm)
    return CheckResult(
        replace(
            check,
            outcome=CheckOutcome.CONTRADICTED,
            corrections=(first, *(other for other in alike if other is not first)),
            corrected_agreement=agreement(chosen.calibration.geometry, chosen.views, noise),
            frame_scale=chosen.hypothesis.scale,
            view=chosen.hypothesis.view,
            hand_mm=hand_mm,
            unit_mm=factor,
        ),
        _rescaled(chosen.calibration, factor),
    )


def _confirmed(check: CalibrationCheck, given: GivenCalibration, claimed: _Candidate, hand_size_mm: float) -> CheckResult:
    """But for its unit, perhaps."""
    hand_mm = _doubtful_size(claimed, hand_size_mm)
    check = replace(check, uncertainty=claimed.cameras.uncertainty)
    if hand_mm is not None:
        factor = _unit_mm(hand_mm, hand_size_mm)
        check = replace(check, outcome=CheckOutcome.CONTRADICTED, hand_mm=hand_mm, unit_mm=factor)
        return CheckResult(check, _rescaled(given, factor))
    return CheckResult(replace(check, outcome=CheckOutcome.CONFIRMED))


def _doubtful_size(candidate: _Candidate, hand_size_mm: float) -> float | None:
    """The hand's size in mm, where both ways to find it have it much too small or too large."""
    sizes_mm = hand_sizes_mm(candidate.cameras.geometry, candidate.views)
    if max(sizes_mm) < MIN_SIZE * hand_size_mm or min(sizes_mm) > MAX_SIZE * hand_size_mm:
        return float(np.sqrt(max(sizes_mm[0], 1e-6) * max(sizes_mm[1], 1e-6)))
    return None


def _rescaled(calibration: GivenCalibration, factor: float) -> GivenCalibration:
    return replace(calibration, t_right_from_left_mm=calibration.t_right_from_left_mm * factor)


def _unit_mm(hand_mm: float | None, hand_size_mm: float) -> float:
    """By what T is to be multiplied: 10 or 1000 where it can be centimetres or metres, else what gives the hand its size."""
    if hand_mm is None:
        return 1.0
    factor = hand_size_mm / hand_mm
    return next((unit for unit in (10.0, 1000.0, 0.1, 0.001) if 0.7 < factor / unit < 1.4), factor)


def _any_cameras(
    given: GivenCalibration, views: PerView[Keypoints], *, thorough: bool
) -> tuple[TwoViewGeometry, PerView[Keypoints]] | None:
    """The cameras of any place that explain the hands best, and the hands as they see them; None where none do.

    `thorough`: with other focal lengths and principal points too.
    """
    geometry = given.geometry
    middle = PerView.of(lambda view: np.subtract(geometry.cameras[view].size_px, 1) / 2)
    centred = PerView.of(lambda view: replace(views[view], centre_px=middle[view]))
    found: list[tuple[float, TwoViewGeometry, PerView[Keypoints]]] = []
    for seen in (views, centred) if thorough else (views,):
        for factor in _FREE_FOCALS if thorough else (1.0,):
            cameras = from_essential(seen, geometry.cameras.map(lambda camera, by=factor: camera.focal_px * by), seed=0)
            if cameras is None:
                continue
            fitted = adjusted(cameras.geometry(seen), seen).geometry
            if _explains(fitted, seen):
                found.append((noise_of(fitted, seen), fitted, seen))
    return min(found, key=lambda each: each[0])[1:] if found else None


def _subsampled(views: PerView[Keypoints]) -> PerView[Keypoints]:
    count = len(views.left.pixels)
    if count <= MAX_PAIRS:
        return views
    chosen = np.linspace(0, count - 1, MAX_PAIRS).round().astype(int)
    return views.map(lambda keypoints: keypoints.subset(chosen))
