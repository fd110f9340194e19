"""Unknowns of bundle adjustment: two cameras, a hand's bones and the joints of every pair; and the prior on them.

Lengths are in hands: the distance from the wrist to the middle knuckle is 1.
"""

from dataclasses import dataclass

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.joints import BONES, MIDDLE_MCP
from hand.rotations import from_vector

PARENT, CHILD = np.array(BONES).T
BONE_COUNT = len(BONES)
PALM = int(np.flatnonzero(CHILD == MIDDLE_MCP)[0])
"""The bone that lengths are measured by."""
FOCAL, TURN, SHIFT, BONE = slice(0, 2), slice(2, 5), slice(5, 8), slice(8, 8 + BONE_COUNT)
"""Where the unknowns that all pairs share stand: log focal lengths, rotation and place of the right camera, log bone lengths."""
GLOBALS = 8 + BONE_COUNT


@dataclass(frozen=True, slots=True)
class Scene:
    """The unknowns."""

    log_focal: np.ndarray
    """(2,) left, right."""
    R_right_from_left: np.ndarray
    t_right_from_left: np.ndarray
    """(3,) hands."""
    log_bones: np.ndarray
    """(20,)."""
    joints: np.ndarray
    """(F, 21, 3) hands, left camera's axes."""

    def moved(self, step: np.ndarray, joint_step: np.ndarray) -> "Scene":
        """The scene after a step of the shared unknowns (28,) and of the joints (F, 21, 3)."""
        return Scene(
            self.log_focal + step[FOCAL],
            from_vector(step[TURN]) @ self.R_right_from_left,
            self.t_right_from_left + step[SHIFT],
            self.log_bones + step[BONE],
            self.joints + joint_step,
        )

    def R_from_left(self, view: View) -> np.ndarray:
        """(3, 3) from the left camera's axes to a view's."""
        return np.eye(3) if view == "left" else self.R_right_from_left

    def in_view_axes(self, view: View) -> np.ndarray:
        """(F, 21, 3) the joints in a view's axes."""
        return self.joints if view == "left" else self.joints @ self.R_right_from_left.T + self.t_right_from_left

    def focal(self, view: View) -> float:
        return float(np.exp(self.log_focal[VIEWS.index(view)]))


@dataclass(frozen=True, slots=True)
class Prior:
    """Prior on cameras and bones."""

    log_focal: PerView[float]
    """Logarithm of the focal lengths in px."""
    focal_sigma: PerView[float]
    """Standard deviations of those; 0 where a focal length is given."""
    equal_sigma: float
    """Standard deviation of the difference of those, for cameras of one kind; infinite for others."""
    bones: np.ndarray
    """(20,) lengths, hands; the palm's is 1."""
    bone_sigma: float
    """Standard deviation of bone lengths between people, logarithmic."""
    bone_noise: float
    """Standard deviation of a bone's length while the hand moves, as a share of it."""
    place: bool = True
    """Whether the right camera's pose is estimated; else it is given, and the size of the hand is estimated."""

    @property
    def free(self) -> np.ndarray:
        """(28,) which of the shared unknowns are estimated."""
        free = np.ones(GLOBALS, bool)
        free[FOCAL] = np.array([*self.focal_sigma]) > 0
        # Where the pose is estimated, the palm's length is the unit of length.
        if self.place:
            free[BONE.start + PALM] = False
        else:
            free[TURN] = free[SHIFT] = False
        return free

    @property
    def information(self) -> np.ndarray:
        """(28, 28) information matrix of the shared unknowns: the cost is offᵀ information off."""
        information = np.zeros((GLOBALS, GLOBALS))
        sigma = np.array([*self.focal_sigma])
        sought = sigma > 0
        information[FOCAL, FOCAL] = np.diag(np.divide(1, sigma, out=np.zeros(2), where=sought) ** 2)
        if sought.all():
            ends = np.array([1.0, -1.0]) / self.equal_sigma
            information[FOCAL, FOCAL] += np.outer(ends, ends)
        # An unknown size of the hand costs nothing.
        information[BONE, BONE] = (np.eye(BONE_COUNT) - (0 if self.place else 1 / BONE_COUNT)) / self.bone_sigma**2
        return information

    def off(self, scene: Scene) -> np.ndarray:
        """(28,) difference of a scene's shared unknowns from the prior's mean; 0 where there is no prior."""
        off = np.zeros(GLOBALS)
        off[FOCAL] = scene.log_focal - np.array([*self.log_focal])
        off[BONE] = scene.log_bones - np.log(self.bones)
        return off
