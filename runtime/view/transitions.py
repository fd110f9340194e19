"""What glides in the viewer's picture when it changes, and how."""

from dataclasses import dataclass, fields

import numpy as np

from hand.rotations import project_to_rotation

RATE = 8.0
"""1/s: nine tenths of the way take half a second."""
_ARRIVED = 1e-6


@dataclass(frozen=True, slots=True)
class Pose:
    """All that glides; lengths mm."""

    share: np.ndarray
    """(1,) of the measured picture in what is shown."""
    lag: np.ndarray
    """(3,) from the wrist to where it is drawn, after a time without a place."""
    centre: np.ndarray
    """(3,) the scene's origin, left camera's axes."""
    right: np.ndarray
    """(3,) the right camera, left camera's axes."""
    right_turn: np.ndarray
    """(3, 3) R_right_from_left."""
    size: np.ndarray
    """(1,) of the cameras."""
    eye: np.ndarray
    """(3,) from the origin."""
    eye_turn: np.ndarray
    """(3, 3) R_eye_from_scene."""
    floor_axes: np.ndarray
    """(3, 3)."""
    floor_level: np.ndarray
    """(1,) below the origin."""

    def flat(self) -> np.ndarray:
        """(N,) all numbers."""
        return np.concatenate([getattr(self, field.name).ravel() for field in fields(self)])

    def like(self, flat: np.ndarray) -> "Pose":
        """The pose with these numbers; turns are made rotations again."""
        parts, at = {}, 0
        for field in fields(self):
            part = getattr(self, field.name)
            parts[field.name] = flat[at : at + part.size].reshape(part.shape)
            at += part.size
            if part.ndim == 2:
                parts[field.name] = project_to_rotation(parts[field.name])
        return Pose(**parts)


class Glide:
    """A pose on its way: critically damped springs in closed form, so that no step of time is too long."""

    def __init__(self, pose: Pose):
        self.now = self.goal = pose
        self._speed = np.zeros_like(pose.flat())

    def advance(self, seconds: float) -> None:
        """Go on towards the goal, wherever that has gone."""
        goal, fade = self.goal.flat(), np.exp(-RATE * seconds)
        away = self.now.flat() - goal
        if max(np.abs(away).max(), np.abs(self._speed).max()) < _ARRIVED:
            return self.settle()
        drift = self._speed + RATE * away
        self.now = self.now.like(goal + (away + drift * seconds) * fade)
        self._speed = (drift - RATE * (away + drift * seconds)) * fade

    def settle(self) -> None:
        """Be there."""
        self.now, self._speed = self.goal, np.zeros_like(self._speed)
