"""A calibration that the user brings: both lenses and the right camera's place, read from OpenCV's or Kalibr's files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.rotations import project_to_rotation
from runtime.calibration.file_entries import Entry, Storage
from runtime.geometry.lens import COEFFICIENTS, Distortion, Lens, Undistorter
from runtime.geometry.two_view import TwoViewGeometry

NEAREST_MM = 5.0
"""No two cameras are nearer; a smaller number is in metres or in squares of a board."""

_SIDES: dict[View, tuple[str, ...]] = {"left": ("1", "left", "l"), "right": ("2", "right", "r")}
_MATRIX = ("M", "K", "camera_matrix")
_COEFFICIENTS = ("D", "dist", "dist_coeffs", "distortion", "distortion_coefficients")
_R = ("R", "rotation", "rotation_matrix", "stereo_rotation")
_T = ("T", "translation", "translation_vector", "translation_matrix", "stereo_translation")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Both lenses, and the place of the right camera: x_right = R_right_from_left x_left + t_right_from_left_mm."""

    lenses: PerView[Lens]
    R_right_from_left: np.ndarray
    """(3, 3)."""
    t_right_from_left_mm: np.ndarray
    """(3,)."""

    def undistorters(self, sizes_px: PerView[tuple[int, int]]) -> PerView[Undistorter]:
        """For frames of these sizes (width, height); raises UserError for frames that the calibration cannot be of."""

        def undistorter(view: View) -> Undistorter:
            try:
                return Undistorter(self.lenses[view].at(sizes_px[view]))
            except UserError as error:
                raise UserError(f"{view} camera: {error}") from error

        return PerView.of(undistorter)

    def geometry(self, cameras: PerView[PinholeCamera]) -> TwoViewGeometry:
        """The geometry of undistorted frames; `cameras`: those of `undistorters`."""
        return TwoViewGeometry(cameras, self.R_right_from_left, self.t_right_from_left_mm)


def read_calibration(*paths: Path) -> Calibration:
    """The calibration in a file, or in several of OpenCV's together, such as its stereo_calib sample's intrinsics.yml and
    extrinsics.yml. What a file is, its content tells.

    OpenCV (FileStorage: YAML, XML or JSON): camera 1 is the left one. Keys in any case, with or without underscores:

    - `M1`, `K1` or `camera_matrix_1`: (3, 3), and `D1`, `dist_1`, `dist_coeffs_1`, `distortion_1` or `distortion_coefficients_1`:
      4, 5, 8, 12 or 14 numbers; 2 for the right camera; left and right, or L and R, may stand for 1 and 2, and before the name
    - `R`, `rotation`, `rotation_matrix` or `stereo_rotation`: (3, 3), and `T`, `translation`, `translation_vector`,
      `translation_matrix` or `stereo_translation`: 3 numbers, with x_2 = R x_1 + T
    - `unit_mm`: T's unit. Without it T is in mm, and refused where it is too short for that: no file says whether its board was
      measured in mm, in metres or in squares, and a guess would be wrong without anyone noticing
    - `fisheye_model`: 1 for `cv::fisheye`'s model, 0 for the plain one; needed with 4 coefficients, as both can have so many
    - `image_width` and `image_height`, or `image_size`, of both cameras; without them, of the frames that come

    Kalibr (camchain YAML of two cameras): cam0 is the left one. Pinhole with radtan, equidistant or no distortion; T_cn_cnm1 in
    metres, as Kalibr writes it.

    Raises UserError naming file, key, what is there and what is expected.
    """
    texts = {path: _text(path) for path in paths}
    for path, text in texts.items():
        if re.search(r"^cam\d:", text, re.MULTILINE):
            if len(texts) > 1:
                raise UserError(f"{path} is Kalibr's: expected it alone, as it holds the whole calibration")
            return _from_kalibr(path, text)
    return _from_opencv(texts)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read the calibration {path}: {error.strerror}; give OpenCV's or Kalibr's file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: expected OpenCV's YAML, XML or JSON, or Kalibr's camchain YAML") from error


def _from_opencv(texts: dict[Path, str]) -> Calibration:
    storage = Storage(texts)
    size_px = _opencv_size(storage)
    fisheye = storage.find("fisheye_model")

    def lens(view: View) -> Lens:
        def need(stems: tuple[str, ...]) -> Entry:
            return storage.need(*(name for stem in stems for side in _SIDES[view] for name in (stem + side, side + stem)))

        entry, coefficients = need(_MATRIX), need(_COEFFICIENTS)
        matrix = entry.array((3, 3))
        (fx, skew, cx), (zero, fy, cy), last = matrix.tolist()
        if skew or zero or last != [0, 0, 1]:
            raise UserError(f"{entry.where} is {matrix.tolist()}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
        if fisheye is None and np.size(coefficients.value) == 4:
            raise UserError(
                f"{coefficients.where} has 4 numbers, a plain lens' k1 k2 p1 p2 or a fisheye's k1 k2 k3 k4: expected a key "
                "`fisheye_model` beside it, 0 or 1; add it"
            )
        distortion: Distortion = "equidistant" if fisheye and fisheye.array(()) else "radtan"
        return _lens(entry.where, [fx, fy, cx, cy], distortion, coefficients, size_px)

    lenses = PerView.of(lens)
    rotation, translation, unit = storage.need(*_R), storage.need(*_T), storage.find("unit_mm")
    unit_mm = float(unit.array(())) if unit else 1.0
    if unit and not unit_mm > 0:
        raise UserError(f"{unit.where} is {unit_mm:g}: expected the millimetres in T's unit, such as 1000 for metres")
    t_mm = translation.array((3,), flat=True) * unit_mm
    hint = "" if unit else "; if it is not in mm, add a key `unit_mm`, such as 1000 for metres or the size of a board's square"
    return Calibration(lenses, _rotation(rotation, rotation.array((3, 3))), _place_mm(translation, t_mm, hint))


def _opencv_size(storage: Storage) -> tuple[int, int] | None:
    size = storage.find("image_size")
    if size is not None:
        return _size(size.where, size.array((2,), flat=True).tolist())
    if storage.find("image_width", "image_height") is None:
        return None
    width, height = storage.need("image_width"), storage.need("image_height")
    return _size(width.where, [float(width.array(())), float(height.array(()))])


def _size(where: str, size_px: Sequence[float]) -> tuple[int, int]:
    width, height = size_px
    if not (width >= 1 and height >= 1 and width % 1 == height % 1 == 0):
        raise UserError(f"{where} gives frames of {width:g}x{height:g} px: expected whole numbers above 0")
    return int(width), int(height)


def _lens(
    where: str, intrinsics: Sequence[float], distortion: Distortion, coefficients: Entry, size_px: tuple[int, int] | None
) -> Lens:
    """`where`: the file and key of `intrinsics`, which are fx fy cx cy."""
    fx, fy, cx, cy = intrinsics
    if not (fx > 0 and fy > 0):
        raise UserError(f"{where} has the focal lengths {fx:g} and {fy:g}: expected numbers above 0, px")
    values = coefficients.array(*((count,) for count in COEFFICIENTS[distortion]), flat=True)
    return Lens((fx, fy), (cx, cy), distortion, tuple(values.tolist()), size_px)


class _KalibrCamera(msgspec.Struct):
    camera_model: str
    intrinsics: list[float]
    distortion_model: str
    distortion_coeffs: list[float]
    resolution: tuple[int, int]
    T_cn_cnm1: list[list[float]] | None = None


class _Camchain(msgspec.Struct):
    cam0: _KalibrCamera
    cam1: _KalibrCamera
    cam2: Any = None


def _from_kalibr(path: Path, text: str) -> Calibration:
    try:
        # YAML 1.1 takes 1e-05 for text.
        chain = msgspec.yaml.decode(text, type=_Camchain, strict=False)
    except msgspec.ValidationError as error:
        what, _, key = str(error).replace("Object missing required", "missing").partition(" - at `$.")
        raise UserError(f"{path}: {f'key `{key}: ' if key else ''}{what[:1].lower()}{what[1:]} in Kalibr's camchain") from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if chain.cam2 is not None:
        raise UserError(f"{path} has a cam2: expected two cameras; keep cam0 (left) and cam1 (right)")
    entry = Entry(f"{path}: key `cam1.T_cn_cnm1`", chain.cam1.T_cn_cnm1)
    T = entry.array((4, 4))
    if T[3].tolist() != [0, 0, 0, 1]:
        raise UserError(f"{entry.where} ends with the row {T[3].tolist()}: expected [0, 0, 0, 1]")
    lenses = PerView(_kalibr_lens(f"{path}: key `cam0.", chain.cam0), _kalibr_lens(f"{path}: key `cam1.", chain.cam1))
    return Calibration(lenses, _rotation(entry, T[:3, :3]), _place_mm(entry, T[:3, 3] * 1000, "; Kalibr's unit is the metre"))


def _kalibr_lens(where: str, camera: _KalibrCamera) -> Lens:
    if camera.camera_model != "pinhole":
        raise UserError(f"{where}camera_model` is {camera.camera_model}: expected pinhole; calibrate as pinhole-radtan or -equi")
    if camera.distortion_model not in COEFFICIENTS:
        raise UserError(f"{where}distortion_model` is {camera.distortion_model}: expected one of {', '.join(COEFFICIENTS)}")
    intrinsics = Entry(f"{where}intrinsics`", camera.intrinsics)
    return _lens(
        intrinsics.where,
        intrinsics.array((4,)).tolist(),
        cast(Distortion, camera.distortion_model),
        Entry(f"{where}distortion_coeffs`", camera.distortion_coeffs),
        _size(f"{where}resolution`", camera.resolution),
    )


def _rotation(entry: Entry, matrix: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) that `matrix`, which stands in `entry`, is but for rounding."""
    nearest = project_to_rotation(matrix)
    off = float(np.abs(matrix - nearest).max())
    if off > 1e-3:
        raise UserError(f"{entry.where} is no rotation, by {off:.2g}: expected rows of length 1 at right angles, determinant 1")
    return nearest


def _place_mm(entry: Entry, t_mm: np.ndarray, hint: str) -> np.ndarray:
    """The translation (3,) that stands in `entry`, unless the cameras were in one another."""
    length_mm = float(np.linalg.norm(t_mm))
    if length_mm < NEAREST_MM:
        raise UserError(f"{entry.where} puts the cameras {length_mm:.3g} mm apart: expected {NEAREST_MM:g} mm or more{hint}")
    return t_mm
