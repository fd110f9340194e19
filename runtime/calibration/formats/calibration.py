"""What a calibration file says, both lenses and mostly the right camera's place, and the checks of its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.findings import Finding
from hand.rotations import from_vector, project_to_rotation
from runtime.calibration.formats.entries import Entry
from runtime.geometry.lens import COEFFICIENTS, Distortion, Lens, Undistorter
from runtime.geometry.two_view import TwoViewGeometry

NEAREST_MM = 5.0
"""No two cameras are nearer; a smaller number is in metres or in squares of a board."""
FARTHEST_MM = 20_000.0
"""No two cameras that see one hand are farther apart."""
MAX_ROUNDING = 1e-3
"""Largest error of an element up to which a matrix is a rotation that was rounded."""


@dataclass(frozen=True, slots=True)
class LensCalibration:
    """Both lenses, of cameras whose places are not known."""

    lenses: PerView[Lens]
    findings: tuple[Finding, ...] = field(default=(), kw_only=True)
    """What was taken for granted where the files do not say it."""

    def undistorters(self, sizes_px: PerView[tuple[int, int]]) -> PerView[Undistorter]:
        """For frames of these sizes (width, height); raises UserError for frames that the calibration cannot be of.

        The ideal cameras have their principal point in the middle of the frame, as those that calibrate themselves.
        """
        return self._undistorters(sizes_px, centred=True)

    def _undistorters(self, sizes_px: PerView[tuple[int, int]], *, centred: bool) -> PerView[Undistorter]:
        def undistorter(view: View) -> Undistorter:
            try:
                return Undistorter(self.lenses[view].at(sizes_px[view]), centred=centred)
            except UserError as error:
                raise UserError(f"{view} camera: {error}") from error

        return PerView.of(undistorter)


@dataclass(frozen=True, slots=True)
class Calibration(LensCalibration):
    """Both lenses, and the place of the right camera: x_right = R_right_from_left x_left + t_right_from_left_mm."""

    R_right_from_left: np.ndarray
    """(3, 3)."""
    t_right_from_left_mm: np.ndarray
    """(3,)."""

    def undistorters(self, sizes_px: PerView[tuple[int, int]]) -> PerView[Undistorter]:
        """For frames of these sizes (width, height); raises UserError for frames that the calibration cannot be of."""
        return self._undistorters(sizes_px, centred=False)

    def geometry(self, cameras: PerView[PinholeCamera]) -> TwoViewGeometry:
        """The geometry of undistorted frames; `cameras`: those of `undistorters`."""
        return TwoViewGeometry(cameras, self.R_right_from_left, self.t_right_from_left_mm)


def lenses_only(what: str) -> Finding:
    """`what`: the files, as subject of the sentence, and why they hold no more."""
    return Finding("calibration_lenses", f"calibration: {what}, so the cameras' places are found on the hand", "info")


def unit_assumed(where: str, t_mm: np.ndarray, advice: str) -> Finding:
    """`where`: what does not say its unit; `advice`: how to say it."""
    apart = f"the cameras are {np.linalg.norm(t_mm):.0f} mm apart"
    return Finding("calibration_unit", f"calibration: {where} does not say its unit; in millimetres {apart}; if not, {advice}")


def read_size(where: str, size_px: Sequence[float]) -> tuple[int, int]:
    """(width, height) that stand at `where`. Raises UserError."""
    width, height = size_px
    if not (width >= 1 and height >= 1 and width % 1 == height % 1 == 0):
        raise UserError(f"{where} gives frames of {width:g}x{height:g} px: expected whole numbers above 0")
    return int(width), int(height)


def read_lens(entry: Entry, distortion: Distortion, coefficients: Entry, size_px: tuple[int, int] | None) -> Lens:
    """The lens of a camera matrix (3, 3). Raises UserError."""
    matrix = entry.array((3, 3))
    (fx, skew, cx), (zero, fy, cy), last = matrix.tolist()
    if skew or zero or last != [0, 0, 1]:
        raise UserError(f"{entry.where} is {matrix.tolist()}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    return lens_of(entry.where, [fx, fy, cx, cy], distortion, coefficients, size_px)


def lens_of(
    where: str, intrinsics: Sequence[float], distortion: Distortion, coefficients: Entry, size_px: tuple[int, int] | None
) -> Lens:
    """`where`: the file and key of `intrinsics`, which are fx fy cx cy. Raises UserError."""
    fx, fy, cx, cy = intrinsics
    if not (fx > 0 and fy > 0):
        raise UserError(f"{where} has the focal lengths {fx:g} and {fy:g}: expected numbers above 0, px")
    values = coefficients.array(*((count,) for count in COEFFICIENTS[distortion]), flat=True)
    return Lens((fx, fy), (cx, cy), distortion, tuple(values.tolist()), size_px)


def read_rotation(entry: Entry) -> np.ndarray:
    """The rotation (3, 3) of a matrix, or of a rotation vector of 3 numbers (radians about the axis). Raises UserError."""
    if np.size(entry.value) == 3:
        return from_vector(entry.array((3,), flat=True))
    return nearest_rotation(entry, entry.array((3, 3)))


def nearest_rotation(entry: Entry, matrix: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that `matrix`, which stands in `entry`, is but for rounding."""
    nearest = project_to_rotation(matrix)
    off = float(np.abs(matrix - nearest).max())
    if off > MAX_ROUNDING:
        raise UserError(f"{entry.where} is no rotation, by {off:.2g}: expected rows of length 1 at right angles, determinant 1")
    return nearest


def read_place(where: str, t_mm: np.ndarray, hint: str, nearest_mm: float = NEAREST_MM) -> np.ndarray:
    """The translation (3,) that stands at `where`, unless no two cameras that see one hand are so near or so far apart.

    `hint`: what to do, as a clause after a semicolon. Raises UserError.
    """
    length_mm = float(np.linalg.norm(t_mm))
    if not nearest_mm <= length_mm <= FARTHEST_MM:
        raise UserError(
            f"{where} puts the cameras {length_mm:.3g} mm apart: expected {nearest_mm:g} mm or more, and at most "
            f"{FARTHEST_MM / 1000:g} m{hint}"
        )
    return t_mm


def read_unit_mm(entry: Entry | None) -> float:
    """The millimetres in the unit of a translation, from a key `unit_mm`; 1 without it. Raises UserError."""
    if entry is None:
        return 1.0
    unit_mm = float(entry.array(()))
    if not unit_mm > 0:
        raise UserError(f"{entry.where} is {unit_mm:g}: expected the millimetres in T's unit, such as 1000 for metres")
    return unit_mm
