"""Smooth transitions between viewer layouts: the state that is interpolated, and the springs that move it."""

from dataclasses import dataclass, fields

import numpy as np

from hand.rotations import project_to_rotation

RATE = 8.0
"""Natural frequency of the springs, 1/s: 90 % of a step takes half a second."""
_ARRIVED = 1e-6


@dataclass(frozen=True, slots=True)
class LayoutState:
    """Everything that a transition interpolates; lengths in mm."""

    measured_share: np.ndarray
    """(1,) weight of the measured layout, in [0, 1]."""
    lag: np.ndarray
    """(3,) from the measured wrist to where it is drawn, after a time without a measured position."""
    centre: np.ndarray
    """(3,) the scene's origin, left camera's axes."""
    right: np.ndarray
    """(3,) the right camera, left camera's axes."""
    right_rotation: np.ndarray
    """(3, 3) R_right_from_left."""
    size: np.ndarray
    """(1,) size at which cameras are drawn."""
    viewpoint: np.ndarray
    """(3,) from the origin."""
    viewpoint_rotation: np.ndarray
    """(3, 3) R_eye_from_scene."""
    floor_axes: np.ndarray
    """(3, 3)."""
    floor_level: np.ndarray
    """(1,) below the origin."""

    def flat(self) -> np.ndarray:
        """(N,) all values."""
        return np.concatenate([getattr(self, field.name).ravel() for field in fields(self)])

    def like(self, flat: np.ndarray) -> "LayoutState":
        """The state with these values; matrices are projected to rotations."""
        parts, at = {}, 0
        for field in fields(self):
            part = getattr(self, field.name)
            parts[field.name] = flat[at : at + part.size].reshape(part.shape)
            at += part.size
            if part.ndim == 2:
                parts[field.name] = project_to_rotation(parts[field.name])
        return LayoutState(**parts)


class SpringTransition:
    """Critically damped springs towards a target, in closed form: stable for time steps of any length."""

    def __init__(self, state: LayoutState):
        self.current = self.target = state
        self._speed = np.zeros_like(state.flat())

    def advance(self, seconds: float) -> None:
        """Move towards the target, which may have changed."""
        target, fade = self.target.flat(), np.exp(-RATE * seconds)
        away = self.current.flat() - target
        if max(np.abs(away).max(), np.abs(self._speed).max()) < _ARRIVED:
            return self.finish()
        drift = self._speed + RATE * away
        self.current = self.current.like(target + (away + drift * seconds) * fade)
        self._speed = (drift - RATE * (away + drift * seconds)) * fade

    def finish(self) -> None:
        """Jump to the target."""
        self.current, self._speed = self.target, np.zeros_like(self._speed)
