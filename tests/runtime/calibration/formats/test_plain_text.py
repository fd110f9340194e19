"""Plain text calibrations give the cameras that they were written of."""

from pathlib import Path

import numpy as np
import pytest

from capture.views import VIEWS
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from tests.runtime.calibration.formats.stereo import COEFFICIENTS, MATRIX, T_MM, R, assert_cameras, assert_lenses, kinds


def rows(matrix: np.ndarray) -> str:
    return "".join(" ".join(map(repr, row)) + " \n" for row in np.atleast_2d(matrix).tolist())


def write(folder: Path, names: tuple[str, str], unit_mm: float = 1.0, more: str = "") -> list[Path]:
    """Files of both cameras as a well-known script (TemugeB/python_stereo_camera_calibrate) writes them."""
    paths = []
    for view, name, R_world, t_world in zip(VIEWS, names, (np.eye(3), R), (np.zeros(3), T_MM / unit_mm), strict=True):
        intrinsics, place = folder / f"{name}_intrinsics.dat", folder / f"{name}_rot_trans.dat"
        intrinsics.write_text(f"intrinsic:\n{rows(MATRIX[view])}distortion:\n{rows(np.array(COEFFICIENTS[view]))}")
        place.write_text(f"R:\n{rows(R_world)}T:\n{rows(t_world[:, None])}{more}")
        paths += [intrinsics, place]
    return paths


def test_the_files_of_both_cameras_are_one_calibration(tmp_path):
    paths = write(tmp_path, ("camera0", "camera1"))
    for order in (paths, [paths[1], paths[0], paths[3], paths[2]]):
        calibration = read_calibration(*order)
        assert_cameras(calibration)
        assert kinds(calibration) == ["calibration_order", "calibration_unit"]
        assert "443 mm apart" in calibration.findings[-1].text
    # The left camera's place is the origin where its file is not given.
    assert_cameras(read_calibration(paths[0], *paths[2:]))


def test_names_say_which_camera_is_the_left_one(tmp_path):
    left_intrinsics, left_place, right_intrinsics, right_place = write(tmp_path, ("left", "right"))
    assert_cameras(read_calibration(right_intrinsics, right_place, left_intrinsics, left_place))


def test_lenses_alone_are_a_calibration_without_a_place(tmp_path):
    left, _, right, _ = write(tmp_path, ("camera0", "camera1"))
    calibration = read_calibration(left, right)
    assert_lenses(calibration)
    assert not isinstance(calibration, Calibration)
    assert kinds(calibration) == ["calibration_order", "calibration_lenses"]


def test_a_unit_beside_the_translation_is_used(tmp_path):
    with pytest.raises(UserError, match="4.43 mm apart.*`unit_mm:`"):
        read_calibration(*write(tmp_path, ("camera0", "camera1"), unit_mm=100))
    calibration = read_calibration(*write(tmp_path, ("camera0", "camera1"), unit_mm=100, more="unit_mm:\n100\n"))
    assert_cameras(calibration)
    assert kinds(calibration) == ["calibration_order"]


def test_files_of_one_camera_are_refused(tmp_path):
    paths = write(tmp_path, ("camera0", "camera1"))
    with pytest.raises(UserError, match="1 camera.*expected the files of both"):
        read_calibration(*paths[:2])
    with pytest.raises(UserError, match="camera 1 has no `intrinsic:`"):
        read_calibration(paths[0], paths[3])
    paths[0].write_text(paths[0].read_text().replace("561.5", "x"))
    with pytest.raises(UserError, match="camera0_intrinsics.dat: `intrinsic:` is not made of numbers"):
        read_calibration(*paths)


def test_names_of_opencv_may_stand_over_their_numbers_or_in_the_files_name(tmp_path):
    values = (MATRIX.left, np.array(COEFFICIENTS.left), MATRIX.right, np.array(COEFFICIENTS.right), R, T_MM)
    named = dict(zip(("K1", "D1", "K2", "D2", "R", "T"), values, strict=True))
    one = tmp_path / "stereo.txt"
    with np.printoptions(precision=12):
        one.write_text("".join(f"{name} =\n{value}\n\n" for name, value in named.items()))
    assert_cameras(read_calibration(one))
    for name, value in named.items():
        np.savetxt(tmp_path / f"{name}.csv", value, delimiter=",")
    assert_cameras(read_calibration(*(tmp_path / f"{name}.csv" for name in named)))
    one.write_text("K1:\nabout 500\n")
    with pytest.raises(UserError, match="no calibration"):
        read_calibration(one)
