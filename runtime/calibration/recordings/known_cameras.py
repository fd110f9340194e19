"""Cameras that a pass over a recording has found: as they are kept in one, and as a calibrator that knows them already."""

import msgspec
import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from runtime.calibration.self_calibrator import CalibrationState
from runtime.calibration.solver import Problem, Solution
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, SolutionFigures, Uncertainty
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand

_Row = tuple[float, float, float]


class _Camera(msgspec.Struct, frozen=True):
    focal_px: float
    centre_px: tuple[float, float]
    size_px: tuple[int, int]
    focal_percent: float
    """Standard deviation of the focal length; 0 where it was given."""


class KnownCameras(msgspec.Struct, frozen=True, kw_only=True):
    """Two cameras and the hand's bones, for JSON; every number comes back as it was."""

    left: _Camera
    right: _Camera
    R_right_from_left: tuple[_Row, _Row, _Row]
    t_right_from_left_mm: _Row
    bones: tuple[float, ...]
    """(20,) hands."""
    rotation_deg: float
    baseline_deg: float
    """Standard deviations."""
    hand_mm: float | None
    angle_deg: float
    inliers: float
    pairs: int
    """Keyframes that it was found from."""

    @classmethod
    def of(cls, state: CalibrationState, figures: SolutionFigures) -> "KnownCameras":
        """Of a calibration that was found."""
        geometry, bones, uncertainty = state.geometry, state.bones, figures.uncertainty
        assert geometry is not None and bones is not None, "nothing was found"

        def camera(view: View) -> _Camera:
            pinhole = geometry.cameras[view]
            (x, y), (width, height) = pinhole.centre_px, pinhole.size_px
            percent = float(uncertainty.focal_percent[view])
            return _Camera(float(pinhole.focal_px), (float(x), float(y)), (int(width), int(height)), percent)

        r0, r1, r2 = (_row(row) for row in geometry.R_right_from_left)
        return cls(
            left=camera("left"),
            right=camera("right"),
            R_right_from_left=(r0, r1, r2),
            t_right_from_left_mm=_row(geometry.t_right_from_left_mm),
            bones=tuple(float(length) for length in bones),
            rotation_deg=float(uncertainty.rotation_deg),
            baseline_deg=float(uncertainty.baseline_deg),
            hand_mm=None if uncertainty.hand_mm is None else float(uncertainty.hand_mm),
            angle_deg=float(figures.angle_deg),
            inliers=float(figures.inliers),
            pairs=state.pairs,
        )

    @property
    def state(self) -> CalibrationState:
        cameras = PerView(self.left, self.right).map(
            lambda camera: PinholeCamera(camera.focal_px, camera.centre_px, camera.size_px)
        )
        geometry = TwoViewGeometry(cameras, np.array(self.R_right_from_left), np.array(self.t_right_from_left_mm))
        return CalibrationState(geometry, np.array(self.bones), self.figures.uncertainty, version=1, pairs=self.pairs)

    @property
    def figures(self) -> SolutionFigures:
        percent = PerView(self.left.focal_percent, self.right.focal_percent)
        uncertainty = Uncertainty(self.rotation_deg, self.baseline_deg, percent, self.hand_mm)
        return SolutionFigures(self.angle_deg, uncertainty, self.inliers)


class KnownCalibrator:
    """In the place of a `SelfCalibrator` whose work is done: the cameras of the whole recording, from its first pair on."""

    given = True
    """They are used from the first pair on, as a user's are."""

    def __init__(self, known: KnownCameras) -> None:
        self.state = known.state
        self.status = CalibrationStatus(CalibrationPhase.CALIBRATED, 1.0, known.figures)

    def add(self, captured_ns: int, hands: PerView[ViewHand]) -> None:
        """Nothing is learnt from a pair."""

    def hold_out(self, captured_ns: int, hands: PerView[ViewHand]) -> None:
        """There is nothing to compare."""

    def due(self, captured_ns: int) -> Problem | None:
        """There is nothing to solve."""
        return None

    def accept(self, solution: Solution | None) -> None:
        """No problem was given, so no solution comes."""

    def forget(self) -> None:
        """The hand turned out to be the other one, which says nothing of these cameras."""

    def stop(self) -> None:
        """A solver that ends is of no use here."""


def _row(numbers: np.ndarray) -> _Row:
    x, y, z = (float(number) for number in numbers)
    return x, y, z
