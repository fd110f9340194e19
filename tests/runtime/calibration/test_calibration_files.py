"""Calibration files of OpenCV and Kalibr are read as written; invalid files raise a one-line error."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.views import PerView
from hand.errors import UserError
from hand.rotations import from_vector
from runtime.calibration.calibration_files import MAX_BYTES, read_calibration
from runtime.calibration.formats.calibration import Calibration
from runtime.geometry.lens import Lens

R = from_vector(np.array([0.05, 1.1, -0.2]))
T = np.array([-412.5, 18.25, 160.0])
MATRIX = PerView(
    np.array([[561.5, 0, 318.25], [0, 563.0, 241.5], [0, 0, 1]]), np.array([[702.0, 0, 330], [0, 700.5, 230], [0, 0, 1]])
)
COEFFICIENTS = PerView([-0.1, 0.02, 0.001, -0.002, 0.003], [0.07, -0.01, 0.0005, 0.0, 0.0])
SAMPLE = {
    "M1": MATRIX.left,
    "D1": np.array([COEFFICIENTS.left]),
    "M2": MATRIX.right,
    "D2": np.array([COEFFICIENTS.right]),
    "R": R,
    "T": T.reshape(3, 1),
}
"""What OpenCV's stereo_calib sample writes, into two files."""
LENSES = PerView(
    Lens((561.5, 563.0), (318.25, 241.5), "radtan", tuple(COEFFICIENTS.left)),
    Lens((702.0, 700.5), (330.0, 230.0), "radtan", tuple(COEFFICIENTS.right)),
)


def write_opencv(path: Path, values: dict) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        if isinstance(value, tuple):
            storage.startWriteStruct(key, cv2.FileNode_SEQ)
            for item in value:
                storage.write("", item)
            storage.endWriteStruct()
        else:
            storage.write(key, value)
    storage.release()
    return path


def camchain(*changes: tuple[str, str]) -> str:
    """A camchain as Kalibr writes it, with some of its text replaced."""
    T_right_from_left = np.eye(4)
    T_right_from_left[:3, :3], T_right_from_left[:3, 3] = R, T / 1000
    rows = "\n".join(f"  - {row.tolist()}" for row in T_right_from_left)
    text = f"""cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [0.01, -0.02,
    1e-05, 0.004]
  distortion_model: equidistant
  intrinsics: [285.5, 286.0, 322.25, 238.0]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
{rows}
  cam_overlaps: [0]
  camera_model: pinhole
  distortion_coeffs: []
  distortion_model: none
  intrinsics: [700.0, 701.0, 630.0, 365.5]
  resolution: [1280, 720]
  rostopic: /cam1/image_raw
"""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def read(*paths: Path) -> Calibration:
    """A calibration that has the cameras' places."""
    calibration = read_calibration(*paths)
    assert isinstance(calibration, Calibration)
    return calibration


@pytest.mark.parametrize("name", ["stereo.yml", "stereo.xml", "stereo.json"])
def test_an_opencv_file_is_read_in_every_format(tmp_path, name):
    written = write_opencv(tmp_path / name, SAMPLE | {"image_width": 640, "image_height": 480})
    # The name says nothing, the content all.
    calibration = read(written.rename(tmp_path / "calibration.dat"))
    for view, lens in calibration.lenses.items():
        assert lens.size_px == (640, 480)
        assert lens.at((640, 480)) == LENSES[view].at((640, 480))
    np.testing.assert_allclose(calibration.R_right_from_left, R, atol=1e-12)
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T)


def test_intrinsics_and_extrinsics_in_two_files_are_one_calibration(tmp_path):
    intrinsics = write_opencv(tmp_path / "intrinsics.yml", {key: SAMPLE[key] for key in ("M1", "D1", "M2", "D2")})
    extrinsics = write_opencv(tmp_path / "extrinsics.yml", {"R": R, "T": SAMPLE["T"], "R1": np.eye(3), "Q": np.eye(4)})
    calibration = read(intrinsics, extrinsics)
    assert calibration.lenses == LENSES
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T)
    for alone, missing in ((intrinsics, "`R`"), (extrinsics, "`M1")):
        with pytest.raises(UserError, match=f"{alone.name}.*{missing}.*give both"):
            read_calibration(alone)


@pytest.mark.parametrize(
    "names",
    [
        ("K1", "D1", "K2", "D2", "R", "T"),
        ("cameraMatrix1", "distCoeffs1", "cameraMatrix2", "distCoeffs2", "R", "T"),
        (
            "camera_matrix_left",
            "dist_coeffs_left",
            "camera_matrix_right",
            "dist_coeffs_right",
            "rotation_matrix",
            "translation_vector",
        ),
        ("left_camera_matrix", "left_distortion_coefficients", "right_camera_matrix", "right_distortion_coefficients", "r", "t"),
        ("cameraMatrixL", "distL", "cameraMatrixR", "distR", "stereo_rotation", "stereo_translation"),
    ],
)
def test_common_key_synonyms_are_accepted(tmp_path, names):
    values = dict(zip(names, SAMPLE.values(), strict=True))
    calibration = read(write_opencv(tmp_path / "stereo.yml", values))
    assert calibration.lenses == LENSES
    np.testing.assert_allclose(calibration.R_right_from_left, R, atol=1e-12)
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T)


def test_opencv_fisheye_model_is_recognised_by_its_key(tmp_path):
    values = SAMPLE | {"D1": np.array([[0.01], [0.02], [0.0], [0.0]]), "D2": np.array([[0.01, 0.02, 0.0, 0.0]])}
    with pytest.raises(UserError, match="D1.*4 numbers.*fisheye_model"):
        read_calibration(write_opencv(tmp_path / "stereo.yml", values))
    for flag, model in ((1, "equidistant"), (0, "radtan")):
        calibration = read(write_opencv(tmp_path / "stereo.yml", values | {"fisheye_model": flag}))
        assert [lens.distortion for lens in calibration.lenses] == [model, model]
        assert calibration.lenses.left.coefficients == (0.01, 0.02, 0.0, 0.0)


def test_a_translation_that_is_not_in_mm_needs_its_unit(tmp_path):
    metres = SAMPLE | {"T": T / 1000}
    with pytest.raises(UserError, match="`T`.*0.443 mm.*unit_mm"):
        read_calibration(write_opencv(tmp_path / "stereo.yml", metres))
    calibration = read(write_opencv(tmp_path / "stereo.yml", metres | {"unit_mm": 1000}))
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T)


def test_a_camchain_of_kalibr_is_read_in_millimetres(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(camchain())
    calibration = read(path)
    assert calibration.lenses.left == Lens((285.5, 286.0), (322.25, 238.0), "equidistant", (0.01, -0.02, 1e-5, 0.004), (640, 480))
    assert calibration.lenses.right == Lens((700.0, 701.0), (630.0, 365.5), "none", (), (1280, 720))
    np.testing.assert_allclose(calibration.R_right_from_left, R, atol=1e-12)
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T)


def test_opencv_and_kalibr_files_give_the_same_extrinsics(tmp_path):
    """A point that both cameras see lands where each program's own formula puts it: x_2 = R x_1 + T."""
    path = tmp_path / "camchain.yaml"
    path.write_text(camchain())
    calibration = read(path)
    cameras = calibration.undistorters(PerView((640, 480), (640, 360))).map(lambda undistorter: undistorter.camera)
    point = np.array([30.0, -40.0, 600.0])
    np.testing.assert_allclose(calibration.geometry(cameras).in_view_axes(point).right, R @ point + T)
    assert cameras.right.size_px == (640, 360)


def test_frames_of_another_aspect_ratio_raise_and_name_the_view(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(camchain())
    with pytest.raises(UserError, match="right camera.*1280x720.*640x480"):
        read(path).undistorters(PerView((640, 480), (640, 480)))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"M2": None}, ("`M2`", "no key")),
        ({"D2": None}, ("`D2`", "no key")),
        ({"T": None}, ("`T`", "no key")),
        ({"M1": np.eye(2)}, ("`M1`", "2 x 2", "3 x 3")),
        ({"M1": np.zeros((0, 0))}, ("`M1`", "empty", "3 x 3")),
        ({"M1": "eye"}, ("`M1`", "not made of numbers", "3 x 3")),
        ({"M1": MATRIX.left.T}, ("`M1`", "[[fx, 0, cx]")),
        ({"M2": MATRIX.right * [[-1, 1, 1], [1, 1, 1], [1, 1, 1]]}, ("`M2`", "-702", "above 0")),
        ({"D1": np.zeros((1, 3))}, ("`D1`", "3", "4 or 5 or 8")),
        ({"D1": np.full((1, 5), np.nan)}, ("`D1`", "nan", "finite")),
        ({"D1": np.zeros((1, 5)), "fisheye_model": 1}, ("`D1`", "5", "4")),
        ({"R": R * 1.1}, ("`R`", "no rotation")),
        ({"R": R * [[1], [1], [-1]]}, ("`R`", "no rotation", "determinant 1")),
        ({"R": np.zeros((2, 1))}, ("`R`", "2 x 1", "3 x 3")),
        ({"T": np.zeros((2, 1))}, ("`T`", "2", "3")),
        ({"T": np.zeros((3, 1)), "unit_mm": 1000}, ("`T`", "0 mm", "5 mm")),
        ({"unit_mm": -1}, ("`unit_mm`", "-1", "1000")),
        ({"image_width": 640}, ("`image_height`",)),
        ({"image_size": (640, 0)}, ("`image_size`", "640x0")),
        ({"image_size": (640, 480, 3)}, ("`image_size`", "3", "2")),
    ],
)
def test_invalid_opencv_values_raise_a_one_line_error(tmp_path, values, names):
    kept = {key: value for key, value in (SAMPLE | values).items() if value is not None}
    refused(write_opencv(tmp_path / "stereo.yml", kept), names)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("camera_model: pinhole", "camera_model: omni"), ("cam0.camera_model", "omni", "pinhole")),
        (("distortion_model: none", "distortion_model: fov"), ("cam1.distortion_model", "fov", "equidistant")),
        (("distortion_model: none", "distortion_model: radtan"), ("cam1.distortion_coeffs", "0", "4")),
        (("  resolution: [640, 480]\n", ""), ("cam0", "resolution")),
        (("[640, 480]", "[640]"), ("cam0.resolution", "2")),
        (("[700.0, 701.0, 630.0, 365.5]", "[700.0, 701.0, 630.0]"), ("cam1.intrinsics", "3", "4")),
        (("[700.0,", "[many,"), ("cam1.intrinsics", "float")),
        (("[700.0,", "[.nan,"), ("cam1.intrinsics", "nan")),
        (("[700.0,", "[0.0,"), ("cam1.intrinsics", "above 0")),
        (("T_cn_cnm1", "T_cam_imu"), ("cam1.T_cn_cnm1", "empty", "4 x 4")),
        (("[0.0, 0.0, 0.0, 1.0]", "[0.0, 0.0, 0.0, 2.0]"), ("cam1.T_cn_cnm1", "2.0", "[0, 0, 0, 1]")),
        (("[0.0, 0.0, 0.0, 1.0]", "[0.0, 0.0, 0.0]"), ("cam1.T_cn_cnm1", "4 x 4")),
        (("cam1:", "cam2:"), ("cam1",)),
        (("rostopic: /cam1/image_raw", "rostopic: /cam1\ncam2: {}"), ("cam2", "two cameras")),
        (("intrinsics: [285.5", "intrinsics: [[285.5"), ("not YAML",)),
    ],
)
def test_invalid_camchain_values_raise_a_one_line_error(tmp_path, change, names):
    path = tmp_path / "camchain.yaml"
    path.write_text(camchain(change))
    refused(path, names)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"", ("no calibration",)),
        (b"camera: 3\n", ("no calibration", "cam0")),
        (b"\xff\xfe\x00", ("not text",)),
        (b'{"M1": [1,', ("broken off",)),
        (b'<?xml version="1.0"?>\n<opencv_storage><M1>', ("broken off",)),
        (
            b"%YAML:1.0\n---\nM1: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 1., 2. ]\n",
            ("`M1`", "whole matrix"),
        ),
    ],
)
def test_a_file_that_is_no_calibration_raises(tmp_path, content, names):
    path = tmp_path / "calibration.yml"
    path.write_bytes(content)
    refused(path, names)


def test_a_truncated_file_raises(tmp_path):
    """A partial file is never read as a whole one."""
    for name in ("stereo.yml", "stereo.xml", "stereo.json"):
        path = write_opencv(tmp_path / name, SAMPLE)
        content = path.read_bytes()
        for share in (0.3, 0.6, 0.9):
            path.write_bytes(content[: int(len(content) * share)])
            refused(path, ())


def test_a_missing_file_and_mixed_formats_raise(tmp_path):
    refused(tmp_path / "nowhere.yml", ("No such file",))
    path = tmp_path / "camchain.yaml"
    path.write_text(camchain())
    with pytest.raises(UserError, match="camchain.yaml.*alone"):
        read_calibration(write_opencv(tmp_path / "stereo.yml", SAMPLE), path)


def refused(path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as raised:
        read_calibration(path)
    sentence = str(raised.value)
    assert "\n" not in sentence
    for name in (str(path), *names):
        assert name in sentence, sentence


def test_a_clip_is_no_calibration_however_large(tmp_path):
    path = tmp_path / "clip.mp4"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    refused(path, ("no calibration", "more than 64 MB"))
