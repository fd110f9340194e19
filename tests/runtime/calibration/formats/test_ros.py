"""ROS' camera_info of two cameras gives the cameras that it was written of."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.views import VIEWS, PerView, View
from hand.errors import UserError
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from tests.runtime.calibration.formats.stereo import COEFFICIENTS, MATRIX, SIZE_PX, T_MM, R, assert_cameras, assert_lenses, kinds


def rectified() -> PerView[tuple[np.ndarray, np.ndarray]]:
    """Rectification and projection (3, 4) of both cameras, in metres, as camera_calibration computes them."""
    R1, R2, P1, P2, *_ = cv2.stereoRectify(
        MATRIX.left, np.array(COEFFICIENTS.left), MATRIX.right, np.array(COEFFICIENTS.right), SIZE_PX, R, T_MM[:, None] / 1000
    )
    return PerView((R1, P1), (R2, P2))


def alone(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Those of a camera that was calibrated by itself."""
    return np.eye(3), np.column_stack([MATRIX[view], np.zeros(3)])


def text(view: View, rectification: np.ndarray, projection: np.ndarray, name: str = "narrow_stereo") -> str:
    def matrix(key: str, values: np.ndarray) -> str:
        rows, columns = values.shape
        return f"{key}:\n  rows: {rows}\n  cols: {columns}\n  data: {values.ravel().tolist()}\n"

    return (
        f"image_width: {SIZE_PX[0]}\nimage_height: {SIZE_PX[1]}\ncamera_name: {name}\n"
        + matrix("camera_matrix", MATRIX[view])
        + "distortion_model: plumb_bob\n"
        + matrix("distortion_coefficients", np.array([COEFFICIENTS[view]]))
        + matrix("rectification_matrix", rectification)
        + matrix("projection_matrix", projection)
    )


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_rectification_and_projection_hold_the_place(tmp_path):
    left, right = (write(tmp_path / f"{view}.yaml", text(view, *rectified()[view])) for view in VIEWS)
    for paths in ((left, right), (right, left)):
        calibration = read_calibration(*paths)
        assert_cameras(calibration)
        assert kinds(calibration) == [] and calibration.lenses.left.size_px == SIZE_PX


def test_files_without_names_are_in_their_order(tmp_path):
    one, two = (write(tmp_path / f"{number}.yaml", text(view, *rectified()[view])) for number, view in enumerate(VIEWS))
    calibration = read_calibration(one, two)
    assert_cameras(calibration)
    [finding] = calibration.findings
    assert finding.kind == "calibration_order" and "0.yaml is taken for the left" in finding.text


def test_a_camera_name_says_its_side(tmp_path):
    one, two = (
        write(tmp_path / f"{number}.yaml", text(view, *rectified()[view], name=f"stereo/{view}"))
        for number, view in enumerate(reversed(VIEWS))
    )
    calibration = read_calibration(one, two)
    assert_cameras(calibration)
    assert kinds(calibration) == []


def test_messages_as_they_are_printed_are_read(tmp_path):
    def message(view: View) -> str:
        rectification, projection = rectified()[view]
        return (
            f"header:\n  frame_id: camera\nheight: {SIZE_PX[1]}\nwidth: {SIZE_PX[0]}\ndistortion_model: plumb_bob\n"
            f"d: {list(COEFFICIENTS[view])}\nk: {MATRIX[view].ravel().tolist()}\nr: {rectification.ravel().tolist()}\n"
            f"p: {projection.ravel().tolist()}\n---\n"
        )

    assert_cameras(read_calibration(*(write(tmp_path / f"{view}.yaml", message(view)) for view in VIEWS)))


def test_cameras_calibrated_alone_give_their_lenses(tmp_path):
    calibration = read_calibration(*(write(tmp_path / f"{view}.yaml", text(view, *alone(view))) for view in VIEWS))
    assert_lenses(calibration)
    assert not isinstance(calibration, Calibration)
    assert kinds(calibration) == ["calibration_lenses"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("plumb_bob", "thin_prism", "distortion_model` is thin_prism.*plumb_bob, rational_polynomial, equidistant"),
        ("projection_matrix", "projection", "no key `projection_matrix`"),
        ("rectification_matrix:", "rectification_matrix: 3\nother:", "rectification_matrix` has the shape 1"),
        ("image_width: 640", "image_width: 0", "image_width` gives frames of 0x480"),
        ("camera_matrix:\n", "camera_matrix: [\n", "not YAML"),
    ],
)
def test_a_damaged_file_is_named_with_its_key(tmp_path, old, new, says):
    left = write(tmp_path / "left.yaml", text("left", *alone("left")).replace(old, new))
    right = write(tmp_path / "right.yaml", text("right", *alone("right")))
    with pytest.raises(UserError, match=says) as raised:
        read_calibration(left, right)
    assert str(left) in str(raised.value) and "\n" not in str(raised.value)


def test_one_camera_is_not_enough(tmp_path):
    with pytest.raises(UserError, match="expected two files, as in --calibration left.yaml right.yaml"):
        read_calibration(write(tmp_path / "left.yaml", text("left", *alone("left"))))
