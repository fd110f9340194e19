"""Cameras that are written for any program read back as the same cameras."""

from pathlib import Path

import numpy as np
import pytest

from capture.views import PerView
from hand.camera import PinholeCamera
from hand.rotations import from_vector
from runtime.calibration.calibration_files import read_calibration
from runtime.calibration.formats.calibration import Calibration
from runtime.calibration.formats.writing import WRITERS, FoundCameras
from runtime.geometry.two_view import TwoViewGeometry

ENDINGS = {"opencv": ".yml", "kalibr": ".yaml", "anipose": ".toml"}


def found(angle: float, sizes_px: PerView[tuple[int, int]]) -> FoundCameras:
    cameras = PerView(
        PinholeCamera(512.345678, (319.5, 239.75), sizes_px.left), PinholeCamera(701.2, (311.0, 250.25), sizes_px.right)
    )
    R = from_vector(np.array([0.02, angle, -0.1]))
    return FoundCameras(TwoViewGeometry(cameras, R, np.array([-412.5, 18.25, 160.123456])), 1.25, 3.5, PerView(1.5, 2.0), 90.0)


@pytest.mark.parametrize("sizes_px", [PerView((640, 480), (640, 480)), PerView((640, 480), (636, 502))], ids=["alike", "unlike"])
@pytest.mark.parametrize("angle", [-2.9, 0.0, 1.1, 3.0])
@pytest.mark.parametrize("name", WRITERS)
def test_cameras_come_back(tmp_path: Path, name, angle, sizes_px):
    cameras = found(angle, sizes_px)
    file = tmp_path / f"c{ENDINGS[name]}"
    file.write_text(WRITERS[name](cameras))
    read = read_calibration(file)
    assert isinstance(read, Calibration)
    # Nothing had to be taken for granted.
    assert not read.findings
    geometry = read.geometry(read.undistorters(sizes_px).map(lambda undistorter: undistorter.camera))
    np.testing.assert_allclose(geometry.R_right_from_left, cameras.geometry.R_right_from_left, atol=1e-9)
    np.testing.assert_allclose(geometry.t_right_from_left_mm, cameras.geometry.t_right_from_left_mm, atol=1e-6)
    for view, camera in cameras.geometry.cameras.items():
        lens = read.lenses[view]
        assert geometry.cameras[view].size_px == camera.size_px
        np.testing.assert_allclose([*lens.focal_px, *lens.centre_px], [camera.focal_px] * 2 + [*camera.centre_px], atol=1e-9)
        assert not np.any(lens.coefficients)


@pytest.mark.parametrize("name", WRITERS)
def test_certainty_is_in_the_file(name):
    text = WRITERS[name](found(1.0, PerView((640, 480), (640, 480))))
    for key, value in {"rotation_std_deg": 1.25, "baseline_std_deg": 3.5, "focal_std_percent_right": 2.0}.items():
        line = next(line for line in text.splitlines() if key in line)
        assert float(line.replace("=", ":").rpartition(":")[2]) == value
