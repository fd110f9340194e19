"""Solutions of given quality, and a solver that returns them, for tests without bundle adjustment."""

import numpy as np

from capture.views import PerView
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.rotations import from_vector
from runtime.calibration.initialization import CameraEstimate
from runtime.calibration.solver import Problem, Solution
from runtime.calibration.status import Uncertainty
from runtime.calibration.variables import CHILD, PARENT
from runtime.geometry.two_view import TwoViewGeometry
from tools.evaluate.two_views import Observed


def bones_of(observed: Observed) -> np.ndarray:
    """(20,) the true hand's bone lengths, hands."""
    joints = observed.joints_mm[0] / DEFAULT_HAND_SIZE_MM
    return np.linalg.norm(joints[CHILD] - joints[PARENT], axis=-1)


def solution_at(
    geometry: TwoViewGeometry, bones: np.ndarray, *, epoch: int = 0, rotation_deg: float = 0.5, **figures
) -> Solution:
    """A solution with these cameras that is accepted, unless `figures` replaces its figures."""
    focal_px = geometry.cameras.map(lambda camera: camera.focal_px)
    t = geometry.t_right_from_left_mm / DEFAULT_HAND_SIZE_MM
    cameras = CameraEstimate(focal_px, geometry.R_right_from_left, t, scaled=True)
    accepted = {
        "uncertainty": Uncertainty(rotation_deg, 1.0, PerView(2.0, 2.0)),
        "noise": PerView(1.0, 1.0),
        "bone_noise": 0.05,
        "inliers": 0.95,
        "shape_error": PerView(0.2, 0.2),
        "rival": float("inf"),
        "error_correlation": 1.0,
        "pairs": 20,
    }
    return Solution(cameras, bones, epoch=epoch, **(accepted | figures))


def turned(geometry: TwoViewGeometry, degrees: float) -> TwoViewGeometry:
    """The right camera rotated about its own centre."""
    turn = from_vector(np.array([0, np.radians(degrees), 0]))
    return TwoViewGeometry(geometry.cameras, turn @ geometry.R_right_from_left, turn @ geometry.t_right_from_left_mm)


def elsewhere(geometry: TwoViewGeometry, degrees: float) -> TwoViewGeometry:
    """The right camera with its rotation, at another baseline direction."""
    t = geometry.t_right_from_left_mm
    across = np.cross(t, geometry.R_right_from_left[2])
    about = from_vector(across / np.linalg.norm(across) * np.radians(degrees))
    return TwoViewGeometry(geometry.cameras, geometry.R_right_from_left, about @ t)


class FixedSolver:
    """Solver that returns a given solution."""

    def __init__(self, geometry: TwoViewGeometry, bones: np.ndarray, **figures):
        self.problems: list[Problem] = []
        self._geometry, self._bones, self._figures = geometry, bones, figures
        self._solution: tuple[Solution | None] | None = None

    def submit(self, problem: Problem) -> None:
        self.problems.append(problem)
        self._solution = (solution_at(self._geometry, self._bones, epoch=problem.epoch, **self._figures),)

    def done(self) -> tuple[Solution | None] | None:
        solution, self._solution = self._solution, None
        return solution

    def close(self) -> None:
        pass
