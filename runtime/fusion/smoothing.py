"""Smoothing that calms a still hand and follows a fast one: the 1€ filter (Casiez, Roussel, Vogel 2012)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """Low-pass cutoff = min_cutoff_hz + beta × speed."""

    min_cutoff_hz: float = 2.0
    """Cutoff of a still joint; lower is calmer."""
    beta: float = 1.5
    """Hz per unit (0→9 lengths a second) of speed; higher lags less in motion."""
    speed_cutoff_hz: float = 1.0
    """Cutoff for the speed itself."""
    max_gap_ns: int = 500_000_000
    """After a longer gap the filter starts anew."""


class OneEuroFilter:
    """Filters points (J, 3), each by its own speed, so that turning the axes turns the result alike."""

    def __init__(self, settings: OneEuroSettings = OneEuroSettings()):
        self._settings = settings
        self._last: _State | None = None

    def __call__(self, time_ns: int, points: np.ndarray) -> np.ndarray:
        """The filtered points; a time that goes back, or a gap that is too long, resets the filter."""
        last, settings = self._last, self._settings
        if last is None or not 0 < time_ns - last.time_ns <= settings.max_gap_ns:
            self._last = _State(time_ns, points, np.zeros_like(points))
            return points
        seconds = (time_ns - last.time_ns) * 1e-9
        raw_velocity = (points - last.points) / seconds
        velocity = last.velocity + _gain(settings.speed_cutoff_hz, seconds) * (raw_velocity - last.velocity)
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
        gain = _gain(settings.min_cutoff_hz + settings.beta * speed, seconds)
        points = last.points + gain * (points - last.points)
        self._last = _State(time_ns, points, velocity)
        return points

    def reset(self) -> None:
        """Forget the past: the next points pass unchanged."""
        self._last = None


@dataclass(frozen=True, slots=True)
class _State:
    time_ns: int
    points: np.ndarray
    velocity: np.ndarray


def _gain(cutoff_hz, seconds: float):
    """Weight of the new value in an exponential low pass."""
    r = 2 * np.pi * cutoff_hz * seconds
    return r / (r + 1)
