"""OpenCV's values under the names that people give them, in files of FileStorage, JSON and NumPy."""

import json
import pickle
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from capture.views import VIEWS
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from tests.runtime.calibration.formats.stereo import COEFFICIENTS, MATRIX, SIZE_PX, T_MM, R, assert_cameras, assert_lenses, kinds

NAMES = ("K1", "D1", "K2", "D2", "R", "T")
VALUES = (MATRIX.left, np.array([COEFFICIENTS.left]), MATRIX.right, np.array([COEFFICIENTS.right]), R, T_MM[:, None])


def named(names: Sequence[str]) -> dict[str, Any]:
    return dict(zip(names, VALUES, strict=True))


@pytest.mark.parametrize(
    "names",
    [
        ("mtxL", "distL", "mtxR", "distR", "R", "T"),
        ("mtx1", "dist1", "mtx2", "dist2", "R", "T"),
        ("K0", "D0", "K1", "D1", "R", "T"),
        ("cam0_K", "cam0_D", "cam1_K", "cam1_D", "R", "T"),
        ("left_K", "left_D", "right_K", "right_D", "R", "T"),
        ("left-mtx", "left-dist", "right-mtx", "right-dist", "rot", "trans"),
        ("intrinsicL", "distortion_coeffsL", "intrinsicR", "distortion_coeffsR", "rotationMatrix", "translationVector"),
    ],
)
def test_names_of_common_scripts_are_known(tmp_path, names):
    np.savez(tmp_path / "stereo.npz", **named(names))
    assert_cameras(read_calibration(tmp_path / "stereo.npz"))


def test_one_array_a_file_has_the_name_of_its_file(tmp_path):
    for name, value in zip(NAMES, VALUES, strict=True):
        np.save(tmp_path / f"{name}.npy", value)
    assert_cameras(read_calibration(*sorted(tmp_path.iterdir())))


def test_a_rotation_vector_stands_for_its_matrix(tmp_path):
    values: dict[str, Any] = named(NAMES) | {"R": cv2.Rodrigues(R)[0]}
    np.savez(tmp_path / "stereo.npz", **values)
    assert_cameras(read_calibration(tmp_path / "stereo.npz"))


def test_coefficients_that_are_no_row_are_refused_with_their_key(tmp_path):
    path = tmp_path / "stereo.json"
    path.write_text(json.dumps({"K1": MATRIX.left.tolist(), "D1": [1, [2]], "K2": MATRIX.right.tolist(), "D2": [0] * 5}))
    with pytest.raises(UserError, match="key `D1` is not made of numbers"):
        read_calibration(path)


def test_json_of_any_script_is_read(tmp_path):
    views = {view: {"K": MATRIX[view].tolist(), "distortion": list(COEFFICIENTS[view])} for view in VIEWS}
    path = tmp_path / "stereo.json"
    path.write_text(json.dumps(views | {"R_right_from_left": R.tolist(), "t_right_from_left_mm": T_MM.tolist()}))
    assert_cameras(read_calibration(path))


@pytest.mark.parametrize("name", ["stereo.yml", "stereo.xml", "stereo.json"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, name):
    storage = cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_WRITE)
    for key, value in zip(NAMES, VALUES, strict=True):
        storage.write(key, value)
    storage.release()
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert_cameras(read_calibration(tmp_path / name))


def test_files_of_single_cameras_give_their_lenses(tmp_path):
    paths = []
    for view in VIEWS:
        storage = cv2.FileStorage(str(tmp_path / f"{view}.yml"), cv2.FILE_STORAGE_WRITE)
        storage.write("image_width", SIZE_PX[0])
        storage.write("image_height", SIZE_PX[1])
        storage.write("camera_matrix", MATRIX[view])
        storage.write("distortion_coefficients", np.array(COEFFICIENTS[view]))
        storage.release()
        paths.append(tmp_path / f"{view}.yml")
    calibration = read_calibration(*reversed(paths))
    assert_lenses(calibration)
    assert not isinstance(calibration, Calibration) and calibration.lenses.left.size_px == SIZE_PX
    assert kinds(calibration) == ["calibration_lenses"]


def test_files_of_single_cameras_and_one_of_their_place_are_one_calibration(tmp_path):
    for view in VIEWS:
        np.savez(tmp_path / f"{view}.npz", mtx=MATRIX[view], dist=np.array([COEFFICIENTS[view]]))
    np.savez(tmp_path / "stereo.npz", R=R, T=T_MM)
    calibration = read_calibration(*(tmp_path / f"{name}.npz" for name in ("stereo", "right", "left")))
    assert_cameras(calibration)
    assert kinds(calibration) == []


def test_files_that_hold_programs_or_are_damaged_are_refused(tmp_path):
    path = tmp_path / "stereo.npz"
    np.savez(path, K1=np.array([{}], object))
    with pytest.raises(UserError, match="holds Python objects: expected arrays alone"):
        read_calibration(path)
    np.savez(path, **named(NAMES))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="broken off or damaged"):
        read_calibration(path)
    path.write_bytes(pickle.dumps({"K1": MATRIX.left}))
    with pytest.raises(UserError, match="pickle.*numpy.savez"):
        read_calibration(path)
    path.write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64")
    with pytest.raises(UserError, match="MATLAB.*stereoParametersToOpenCV"):
        read_calibration(path)
