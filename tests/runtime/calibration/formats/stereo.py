"""Two cameras that calibration files are written of, and the check that a file gives them again."""

import numpy as np

from capture.views import PerView
from hand.rotations import from_vector
from runtime.calibration.formats.calibration import Calibration, LensCalibration

R = from_vector(np.array([0.05, 1.1, -0.2]))
T_MM = np.array([-412.5, 18.25, 160.0])
"""x_right = R x_left + T."""
MATRIX = PerView(
    np.array([[561.5, 0, 318.25], [0, 563.0, 241.5], [0, 0, 1]]), np.array([[702.0, 0, 330], [0, 700.5, 230], [0, 0, 1]])
)
COEFFICIENTS = PerView((-0.1, 0.02, 0.001, -0.002, 0.003), (0.07, -0.01, 0.0005, 0.0, 0.0))
SIZE_PX = (640, 480)


def kinds(calibration: LensCalibration) -> list[str]:
    """What was taken for granted."""
    return [finding.kind for finding in calibration.findings]


def assert_lenses(calibration: LensCalibration) -> None:
    """The lenses above, each in its view."""
    for view, lens in calibration.lenses.items():
        np.testing.assert_allclose(lens.matrix, MATRIX[view], atol=1e-6)
        np.testing.assert_allclose(lens.coefficients, COEFFICIENTS[view], atol=1e-6)


def assert_cameras(calibration: LensCalibration) -> None:
    """Lenses and place above."""
    assert_lenses(calibration)
    assert isinstance(calibration, Calibration)
    np.testing.assert_allclose(calibration.R_right_from_left, R, atol=1e-6)
    np.testing.assert_allclose(calibration.t_right_from_left_mm, T_MM, atol=1e-6)
