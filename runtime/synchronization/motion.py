"""How one view's hand moves in the image: its joints over time, averaged over short windows, and their speed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

HALF_WINDOW_S = 0.05
"""Joints are averaged over this time before and after an instant: landmarks jitter from frame to frame, and an average that is
continuous in time has no preference for the instants of frames."""
MAX_GAP_S = 0.15
"""Farther from the next frame with a hand, nothing is known of the hand's motion."""


@dataclass(frozen=True, slots=True)
class HandMotion:
    """A hand in one view. Frames in which it was not seen are left out."""

    times_s: np.ndarray
    """(N,) capture times, ascending."""
    pixels: np.ndarray
    """(N, J, 2) joints in the frame."""

    @classmethod
    def of(cls, seen: Sequence[tuple[float, np.ndarray]]) -> "HandMotion":
        """From the capture time and the joints (J, 2) of each frame with a hand; frames of one time count once."""
        times_s = np.array([time_s for time_s, _ in seen])
        pixels = np.array([pixels for _, pixels in seen]) if seen else np.empty((0, 0, 2))
        first = np.diff(times_s, prepend=-np.inf) > 0
        return cls(times_s[first], pixels[first])

    @property
    def duration_s(self) -> float:
        return float(self.times_s[-1] - self.times_s[0]) if len(self.times_s) else 0.0

    def at_rate(self, factor: float) -> "HandMotion":
        """The same motion of a clip that plays `factor` times slower than it happened, as it happened."""
        return replace(self, times_s=self.times_s / factor)

    def known(self, times_s: np.ndarray) -> np.ndarray:
        """(M,) bool: whether there are frames with the hand near these times, before and after."""
        if len(self.times_s) < 2:
            return np.zeros(len(times_s), bool)
        after = np.searchsorted(self.times_s, times_s)
        inside = (after > 0) & (after < len(self.times_s))
        after = np.clip(after, 1, len(self.times_s) - 1)
        return inside & (self.times_s[after] - self.times_s[after - 1] < MAX_GAP_S)

    def averaged(self, times_s: np.ndarray) -> np.ndarray:
        """(M, J, 2) means of the joints over `HALF_WINDOW_S` before and after each time, of their linear interpolation."""
        flat = self.pixels.reshape(len(self.pixels), -1)
        steps = np.diff(self.times_s)[:, None]
        integral = np.concatenate([np.zeros((1, flat.shape[1])), np.cumsum(steps * (flat[1:] + flat[:-1]) / 2, 0)])

        def up_to(instants: np.ndarray) -> np.ndarray:
            """The integral from the first frame up to each instant; before and after all frames the hand stands still."""
            index = np.clip(np.searchsorted(self.times_s, instants, side="right") - 1, 0, max(len(self.times_s) - 2, 0))
            passed = np.clip(instants, self.times_s[0], self.times_s[-1]) - self.times_s[index]
            share = passed / (self.times_s[index + 1] - self.times_s[index])
            first = flat[index]
            inside = integral[index] + passed[:, None] * (first + share[:, None] * (flat[index + 1] - first) / 2)
            before, after = instants - self.times_s[0], instants - self.times_s[-1]
            return inside + np.minimum(before, 0)[:, None] * flat[0] + np.maximum(after, 0)[:, None] * flat[-1]

        mean = (up_to(times_s + HALF_WINDOW_S) - up_to(times_s - HALF_WINDOW_S)) / (2 * HALF_WINDOW_S)
        return mean.reshape(len(times_s), *self.pixels.shape[1:])

    def speed(self, times_s: np.ndarray) -> np.ndarray:
        """(M,) square root of the joints' speed, mean over the joints, in hand lengths a second; NaN where it is not known.

        The root, since a few fast moments, and outliers, would otherwise outweigh all others.
        """
        known = self.known(times_s)
        if not known.any():
            return np.full(len(times_s), np.nan)
        size_px = np.median(np.ptp(self.pixels, axis=1).max(-1))
        step = self.averaged(times_s + HALF_WINDOW_S) - self.averaged(times_s - HALF_WINDOW_S)
        speed = np.linalg.norm(step, axis=-1) / (2 * HALF_WINDOW_S * max(size_px, 1e-9))
        return np.where(known, np.sqrt(speed).mean(-1), np.nan)
