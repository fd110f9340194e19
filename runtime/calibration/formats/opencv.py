"""OpenCV's calibrations: FileStorage in YAML, XML or JSON, and the arrays that scripts around `stereoCalibrate` save by NumPy."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from capture.views import PerView
from hand.errors import UserError
from hand.findings import Finding
from runtime.calibration.formats.calibration import (
    Calibration,
    LensCalibration,
    lenses_only,
    read_lens,
    read_place,
    read_rotation,
    read_size,
    read_unit_mm,
)
from runtime.calibration.formats.entries import Entries, Entry
from runtime.calibration.formats.side import assign_views
from runtime.geometry.lens import Distortion, Lens

_SIDES = (
    *(("1", "2"), ("left", "right"), ("l", "r"), ("cam1", "cam2"), ("camera1", "camera2")),
    *(("cam_left", "cam_right"), ("camera_left", "camera_right"), ("cam_l", "cam_r"), ("0", "1"), ("cam0", "cam1")),
    ("camera0", "camera1"),
)
"""How people call the left and the right camera, before or after the name of a value. 0 and 1 come after 1 and 2."""
_MATRIX = (
    *("M", "K", "camera_matrix", "mtx", "camera_mtx", "cam_mtx", "intrinsic", "intrinsics", "intrinsic_matrix", "matrix"),
    *("camera_intrinsics", "cam_matrix", "camera_mat", "KK"),
)
_COEFFICIENTS = (
    *("D", "dist", "dist_coeffs", "distortion", "distortion_coefficients", "distortions", "dist_coeff", "distortion_coeffs"),
    *("dist_coef", "dist_coefs", "distortion_coef", "distortion_vector", "coeffs", "kc"),
)
_R = (
    *("R", "rotation", "rotation_matrix", "stereo_rotation", "rot", "stereo_R", "R_stereo", "rot_mat", "rotation_vector", "rvec"),
    *("R_right_from_left", "om"),
)
_T = (
    *("T", "translation", "translation_vector", "translation_matrix", "stereo_translation", "trans", "stereo_T", "T_stereo"),
    *("tvec", "trans_vec", "t_right_from_left"),
)
_T_MM = ("t_right_from_left_mm", "T_mm", "translation_mm")


def is_storage(text: str) -> bool:
    """Whether a text is of `cv::FileStorage`, or another JSON."""
    return text.lstrip().startswith(("%YAML", "<?xml", "{"))


def read_entries(files: dict[Path, Sequence[tuple[str, Any]]]) -> LensCalibration:
    """The calibration in keys and values of one file or several. Raises UserError."""
    entries = Entries(files)
    lenses, findings = _lenses(files, entries)
    rotation = entries.find(*_R)
    if rotation is None and len(files) == 2 and findings is not None:
        alone = lenses_only(f"{entries.files} hold no place of one camera to the other")
        return LensCalibration(lenses, findings=(*findings, alone))
    R = read_rotation(rotation or entries.need(*_R))
    in_mm, unit = entries.find(*_T_MM), entries.find("unit_mm")
    translation = in_mm or entries.need(*_T)
    t_mm = translation.array((3,), flat=True) * (1.0 if in_mm else read_unit_mm(unit))
    said = unit or in_mm
    hint = "" if said else "; if it is not in mm, add a key `unit_mm`, such as 1000 for metres or the size of a board's square"
    return Calibration(lenses, R, read_place(translation.where, t_mm, hint), findings=findings or ())


def _lenses(files: dict[Path, Sequence[tuple[str, Any]]], entries: Entries) -> tuple[PerView[Lens], tuple[Finding, ...] | None]:
    """Both lenses; and, where each stands in a file of its own, what is said of the files' order, else None."""
    singles = {path: lens for path, items in files.items() if (lens := _single(Entries({path: items})))}
    if len(singles) == 2:
        order = assign_views([path.stem for path in singles])
        return order.views.map(lambda index: list(singles.values())[index]), order.findings(
            list(singles), "give them the other way round"
        )
    size_px = _size(entries)
    matrices, coefficients = _twins(entries, "M", _MATRIX), _twins(entries, "D", _COEFFICIENTS)
    return PerView.of(lambda view: _lens(entries, matrices[view], coefficients[view], size_px)), None


def _single(entries: Entries) -> Lens | None:
    """The lens in the file of one camera; None where the file is not one."""
    matrix, coefficients = entries.find(*_MATRIX), entries.find(*_COEFFICIENTS)
    return _lens(entries, matrix, coefficients, _size(entries)) if matrix and coefficients else None


def _twins(entries: Entries, name: str, stems: tuple[str, ...]) -> PerView[Entry]:
    """A value of both cameras. Raises UserError where it is not there under one of its names; `name` is the usual one."""
    alone = None
    for stem in stems:
        for left_side, right_side in _SIDES:
            for left_name, right_name in ((stem + left_side, stem + right_side), (left_side + stem, right_side + stem)):
                left, right = entries.find(left_name), entries.find(right_name)
                if left and right:
                    return PerView(left, right)
                if left or right:
                    alone = alone or (right_name if left else left_name)
    raise entries.missing(alone or f"{name}1")


def _lens(entries: Entries, matrix: Entry, coefficients: Entry, size_px: tuple[int, int] | None) -> Lens:
    fisheye = entries.find("fisheye_model", "fisheye")
    if fisheye is None and np.array(coefficients.value, object).size == 4:
        raise UserError(
            f"{coefficients.where} has 4 numbers, a plain lens' k1 k2 p1 p2 or a fisheye's k1 k2 k3 k4: expected a key "
            "`fisheye_model` beside it, 0 or 1; add it"
        )
    distortion: Distortion = "equidistant" if fisheye and fisheye.array(()) else "radtan"
    return read_lens(matrix, distortion, coefficients, size_px)


def _size(entries: Entries) -> tuple[int, int] | None:
    size = entries.find("image_size", "img_size", "frame_size", "resolution")
    if size is not None:
        return read_size(size.where, size.array((2,), flat=True).tolist())
    if entries.find("image_width", "image_height", "width", "height") is None:
        return None
    width, height = entries.need("image_width", "width"), entries.need("image_height", "height")
    return read_size(width.where, [float(width.array(())), float(height.array(()))])


def read_storage(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Keys and values: float, str, list, or an array for a matrix; the key of a map's value follows the map's own.

    Raises UserError.
    """
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        keys = storage.root().keys()
    except (cv2.error, SystemError) as error:  # the binding wraps a parser's error in a SystemError
        raise UserError(f"{path} is broken off or damaged: expected all that cv::FileStorage wrote; write it again") from error
    for key in keys:
        try:
            yield from _values(key, storage.getNode(key))
        except cv2.error as error:
            raise UserError(f"{path}: key `{key}` cannot be read: expected a whole matrix; write it again") from error


def _values(key: str, node: cv2.FileNode) -> Iterator[tuple[str, Any]]:
    if node.isMap() and not {"dt", "data"} <= set(node.keys()):
        for inner in node.keys():  # noqa: SIM118 (a FileNode is no dictionary)
            yield from _values(f"{key}.{inner}", node.getNode(inner))
    else:
        yield key, _value(node)


def _value(node: cv2.FileNode) -> Any:
    if node.isSeq():
        return [_value(node.at(index)) for index in range(node.size())]
    if node.isMap():
        return node.mat() if {"dt", "data"} <= set(node.keys()) else None
    return node.string() if node.isString() else node.real()


def is_numpy(content: bytes) -> bool:
    """Whether a file is of `numpy.savez` or `numpy.save`."""
    return content.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"))


def read_numpy(path: Path) -> list[tuple[str, Any]]:
    """Names and arrays of a .npz file; an array of a .npy file under the file's own name. Raises UserError."""
    try:
        # Never pickles: they can run any program.
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [(path.stem, loaded)]
        with loaded:
            return [(name, loaded[name]) for name in loaded.files]
    except ValueError as error:
        if "pickle" not in str(error):
            raise UserError(f"{path} is broken off or damaged ({_one_line(error)}): write it again with numpy.savez") from error
        raise UserError(
            f"{path} holds Python objects: expected arrays alone, as numpy.savez(FILE, K1=..., D1=..., K2=..., D2=..., R=..., "
            "T=...) writes them"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError) as error:
        raise UserError(f"{path} is broken off or damaged ({_one_line(error)}): write it again with numpy.savez") from error


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)) or type(error).__name__
