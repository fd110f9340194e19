"""What a calibration would be if one of the usual mistakes was made in writing it down."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.camera import PinholeCamera
from hand.rotations import angle_deg
from runtime.calibration.bundle import Keypoints
from runtime.calibration.status import Correction
from runtime.geometry.calibration_size import MAX_OFFSET
from runtime.geometry.lens import Lens, ideal_camera
from runtime.geometry.two_view import TwoViewGeometry

SCALES = (1 / 4, 1 / 3, 3 / 8, 1 / 2, 9 / 16, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 16 / 9, 2.0, 8 / 3, 3.0, 4.0)
"""Usual ratios of the sizes of frames."""
SAME_DEG, SAME_FOCAL, SAME_CENTRE = 4.0, 0.02, 0.01
"""Cameras that differ by less are not told apart: rotation and baseline, focal length, principal point by the width."""
_MAX_ASPECT = 0.1
"""Difference of both axes' scales up to which a principal point is that of scaled frames."""


@dataclass(frozen=True, slots=True)
class GivenCalibration:
    """A user's calibration for the frames that come."""

    lenses: PerView[Lens]
    """With the frames' sizes."""
    R_right_from_left: np.ndarray
    """(3, 3)."""
    t_right_from_left_mm: np.ndarray
    """(3,)."""

    @classmethod
    def of(cls, geometry: TwoViewGeometry) -> "GivenCalibration":
        """Of cameras without distortion."""

        def lens(view: View) -> Lens:
            camera = geometry.cameras[view]
            return Lens((camera.focal_px, camera.focal_px), camera.centre_px, size_px=camera.size_px)

        return cls(PerView.of(lens), geometry.R_right_from_left, geometry.t_right_from_left_mm)

    @property
    def geometry(self) -> TwoViewGeometry:
        """Of undistorted frames."""
        return TwoViewGeometry(self.lenses.map(ideal_camera), self.R_right_from_left, self.t_right_from_left_mm)

    def seen_by(self, views: PerView[Keypoints], other: "GivenCalibration") -> PerView[Keypoints]:
        """What is seen in frames undistorted by this calibration as the other one would have undistorted it."""
        if other.lenses is self.lenses:
            return views

        def seen(view: View) -> Keypoints:
            before, after = ideal_camera(self.lenses[view]), ideal_camera(other.lenses[view])
            original = self.lenses[view].project(before.rays(views[view].pixels))
            pixels = after.project(other.lenses[view].rays(original))
            scale = after.focal_px / other.lenses[view].focal_px[0] * self.lenses[view].focal_px[0] / before.focal_px
            return replace(views[view], pixels=pixels, sigma_px=views[view].sigma_px * scale, centre_px=np.array(after.centre_px))

        return PerView.of(seen)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A correction of a calibration."""

    correction: Correction
    calibration: GivenCalibration
    """The corrected one."""
    scale: float = 1.0
    """Of the frames that the lenses are of, for `Correction.RESOLUTION`."""
    view: View | None = None
    """The one camera whose lens alone it changes; None for both."""


def hypotheses(given: GivenCalibration) -> list[Hypothesis]:
    """The corrections that make a difference, more usual mistakes first."""
    return [hypothesis for hypothesis in _all(given) if not alike(hypothesis.calibration, given)]


def alike(one: GivenCalibration, other: GivenCalibration) -> bool:
    """Whether hands cannot tell two calibrations apart."""

    def same_camera(view: View) -> bool:
        a, b = one.lenses[view], other.lenses[view]
        assert a.size_px is not None
        centres = np.abs(np.subtract(a.centre_px, b.centre_px)).max() / a.size_px[0]
        return abs(a.focal_px[0] / b.focal_px[0] - 1) < SAME_FOCAL and bool(centres < SAME_CENTRE)

    t, u = (c.t_right_from_left_mm / np.linalg.norm(c.t_right_from_left_mm) for c in (one, other))
    apart_deg = np.degrees(2 * np.arcsin(min(float(np.linalg.norm(t - u)) / 2, 1)))
    turned_deg = float(angle_deg(one.R_right_from_left, other.R_right_from_left))
    return max(apart_deg, turned_deg) < SAME_DEG and same_camera("left") and same_camera("right")


def centre_offset(camera: PinholeCamera | Lens) -> float:
    """How far a principal point is from the middle of its frame, as a share of its side."""
    assert camera.size_px is not None
    return float(np.abs((np.array(camera.centre_px) + 0.5) / camera.size_px - 0.5).max())


def _all(given: GivenCalibration) -> Iterator[Hypothesis]:
    R, t = given.R_right_from_left, given.t_right_from_left_mm

    def placed(correction: Correction, R: np.ndarray, t: np.ndarray) -> Hypothesis:
        return Hypothesis(correction, replace(given, R_right_from_left=R, t_right_from_left_mm=t))

    yield placed(Correction.INVERSE, R.T, -R.T @ t)
    if given.lenses.left.size_px == given.lenses.right.size_px:
        exchanged = PerView(given.lenses.right, given.lenses.left)
        yield Hypothesis(Correction.EXCHANGED, GivenCalibration(exchanged, R.T, -R.T @ t))
        yield Hypothesis(Correction.INTRINSICS_EXCHANGED, GivenCalibration(exchanged, R, t))
    yield placed(Correction.TRANSPOSED, R.T, t)
    yield placed(Correction.POSITION, R, -R @ t)
    yield placed(Correction.OPPOSITE, R, -t)
    off: list[View] = [view for view in VIEWS if centre_offset(given.lenses[view]) > MAX_OFFSET]
    if off:
        alone = off[0] if len(off) == 1 else None
        for scale in _scales(given.lenses[off[0]]):
            scaled = _with_lenses(given, off, lambda lens, by=scale: _scaled(lens, by))
            yield Hypothesis(Correction.RESOLUTION, scaled, scale, alone)
        yield Hypothesis(Correction.CROP, _with_lenses(given, off, _recentred), view=alone)


def _with_lenses(given: GivenCalibration, off: list[View], change: Callable[[Lens], Lens]) -> GivenCalibration:
    """With the lenses of some views changed."""

    def lens(view: View) -> Lens:
        return change(given.lenses[view]) if view in off else given.lenses[view]

    return replace(given, lenses=PerView.of(lens))


def _scales(lens: Lens) -> list[float]:
    """By which frames may have been scaled whose principal point was in their middle."""
    assert lens.size_px is not None
    x, y = np.array(lens.size_px) / 2 / (np.array(lens.centre_px) + 0.5)
    if not (x > 0 and y > 0) or abs(x / y - 1) > _MAX_ASPECT:
        return []
    scale = float(np.sqrt(x * y))
    return [usual for usual in SCALES if abs(usual / scale - 1) < _MAX_ASPECT] or [scale]


def _scaled(lens: Lens, scale: float) -> Lens:
    fx, fy = (focal * scale for focal in lens.focal_px)
    cx, cy = ((c + 0.5) * scale - 0.5 for c in lens.centre_px)
    return replace(lens, focal_px=(fx, fy), centre_px=(cx, cy))


def _recentred(lens: Lens) -> Lens:
    assert lens.size_px is not None
    width, height = lens.size_px
    return replace(lens, centre_px=((width - 1) / 2, (height - 1) / 2))
