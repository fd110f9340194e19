"""The TOML of Anipose, freemocap, Caliscope and Pose2Sim gives the cameras that it was written of."""

from pathlib import Path

import numpy as np
import pytest

from hand.errors import UserError
from hand.rotations import from_vector, to_vector
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from runtime.calibration.formats.choice import calibration_file
from tests.runtime.calibration.formats.stereo import COEFFICIENTS, MATRIX, SIZE_PX, T_MM, R, assert_cameras, kinds

WORLD = from_vector(np.array([0.4, -0.2, 0.9])), np.array([35.0, -80.0, 900.0])
"""The left camera in the common frame of all: x_left = R x_world + t."""


def table(name: str, side: str, *, unit_mm: float = 1.0, as_matrix: bool = False, key: str = "") -> str:
    R_world, t_world = WORLD if side == "left" else (R @ WORLD[0], R @ WORLD[1] + T_MM)
    rotation = R_world if as_matrix else to_vector(R_world)
    matrix, coefficients = (MATRIX.left, COEFFICIENTS.left) if side == "left" else (MATRIX.right, COEFFICIENTS.right)
    return (
        f'[{key or name}]\nname = "{name}"\nsize = [ {SIZE_PX[0]}.0, {SIZE_PX[1]},]\nmatrix = {matrix.tolist()}\n'
        f"distortions = {list(coefficients)}\nrotation = {rotation.tolist()}\ntranslation = {(t_world / unit_mm).tolist()}\n\n"
    )


def write(path: Path, *tables: str, metadata: str = "adjusted = false\nerror = 0.4\n") -> Path:
    path.write_text("".join(tables) + f"[metadata]\n{metadata}")
    return path


@pytest.mark.parametrize("as_matrix", [False, True])
@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("cam_0", "cam_1"), ("", "")),
        (("int_cam1_img", "int_cam2_img"), ("", "")),
        (("0", "1"), ("cameras.0", "cameras.1")),
    ],
    ids=["anipose", "pose2sim", "caliscope"],
)
def test_two_cameras_are_left_and_right_in_their_order(tmp_path, names, keys, as_matrix):
    left, right = (
        table(name, side, as_matrix=as_matrix, key=key) for name, key, side in zip(names, keys, ("left", "right"), strict=True)
    )
    calibration = read_calibration(write(tmp_path / "calibration.toml", left, right))
    assert_cameras(calibration)
    assert calibration.lenses.left.size_px == SIZE_PX
    order, unit = calibration.findings
    assert order.kind == "calibration_order" and f"calibration.toml#{keys[1].split('.')[-1] or names[1]}," in order.text
    assert unit.kind == "calibration_unit" and "443 mm apart" in unit.text


def test_names_say_which_camera_is_the_left_one(tmp_path):
    path = write(tmp_path / "calibration.toml", table("Right", "right"), table("Left", "left"), metadata="unit_mm = 1\n")
    calibration = read_calibration(path)
    assert_cameras(calibration)
    assert kinds(calibration) == []


def test_a_choice_names_two_of_many_cameras(tmp_path):
    path = write(tmp_path / "calibration.toml", table("a", "right"), table("b", "right"), table("c", "left"))
    with pytest.raises(UserError, match=r"3 cameras \(a, b, c\).*--calibration .*calibration.toml#a,b"):
        read_calibration(path)
    chosen = path.with_name("calibration.toml#c,b")
    assert_cameras(read_calibration(chosen))
    assert calibration_file(chosen) == path == calibration_file(path)
    for wrong, says in (("c,d", "no camera 'd'"), ("c", "does not name two"), ("c,c", "does not name two")):
        with pytest.raises(UserError, match=says):
            read_calibration(path.with_name(f"calibration.toml#{wrong}"))


def test_a_file_in_metres_needs_its_unit(tmp_path):
    tables = table("cam_0", "left", unit_mm=1000), table("cam_1", "right", unit_mm=1000)
    with pytest.raises(UserError, match="0.443 mm apart: expected 20 mm or more.*`unit_mm`.*1000 for metres"):
        read_calibration(write(tmp_path / "metres.toml", *tables))
    assert_cameras(read_calibration(write(tmp_path / "metres.toml", *tables, metadata="unit_mm = 1000\n")))
    far = table("cam_0", "left", unit_mm=0.001), table("cam_1", "right", unit_mm=0.001)
    with pytest.raises(UserError, match="at most 20 m"):
        read_calibration(write(tmp_path / "far.toml", *far))


def test_fisheye_lenses_and_a_byte_order_mark_are_read(tmp_path):
    short = [
        text.replace(str(list(coefficients)), "[0.01, -0.02, 0.003, 0.0]") + "fisheye = true\n"
        for text, coefficients in (
            (table("cam_0", "left").rstrip() + "\n", COEFFICIENTS.left),
            (table("cam_1", "right").rstrip() + "\n", COEFFICIENTS.right),
        )
    ]
    path = write(tmp_path / "calibration.toml", *short)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    calibration = read_calibration(path)
    assert isinstance(calibration, Calibration)
    assert [lens.distortion for lens in calibration.lenses] == ["equidistant", "equidistant"]
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T_MM)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("translation", "position", "no key `cam_0.translation`"),
        ("distortions", "bends", "no key `cam_0.distortions`"),
        ("rotation = [", "rotation = [1.0, ", "cam_0.rotation` has the shape 4"),
        ("size = [ 640.0", "size = [ 0", "cam_0.size` gives frames of 0x480"),
        ("[cam_1]", "[cam_0]", "not TOML"),
        ("[cam_1]", "[[cam_1]]", "holds 1 calibrated camera"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(tmp_path, old, new, says):
    path = write(tmp_path / "calibration.toml", table("cam_0", "left"), table("cam_1", "right"))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=says) as raised:
        read_calibration(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
