"""A moving hand as two cameras see it, each at its own times."""

import numpy as np

from capture.views import PerView
from hand import rotations
from runtime.synchronization.motion import HandMotion

JOINTS = 21
FOCAL_PX, CENTRE_PX = 700.0, 360.0
R_RIGHT_FROM_LEFT = rotations.from_vector(np.array([0.05, 1.1, 0.05]))
T_RIGHT_FROM_LEFT = np.array([-0.45, 0.0, 0.3])


class MovingHand:
    """Wrist, turn and fingers move smoothly, without a period, and now faster, now slower, as people's do."""

    def __init__(self, seed: int = 0, amplitude: float = 1.0) -> None:
        chance = np.random.default_rng(seed)
        self._rest = chance.normal(0, 0.035, (JOINTS, 3))
        self._amplitude = amplitude
        self._waves = [(chance.uniform(0.15, 1.2, 9), chance.uniform(0, 2 * np.pi, 9)) for _ in range(6)]
        self._pace = chance.uniform(0.3, 1.2, 4), chance.uniform(0, 2 * np.pi, 4)
        self._bend = chance.normal(0, 0.012, (JOINTS, 3))

    def joints(self, times_s: np.ndarray) -> np.ndarray:
        """(N, 21, 3) in m, left camera's axes."""
        f, p = self._pace
        times_s = times_s + (np.sin(2 * np.pi * f * times_s[:, None] + p) * 0.5 / (2 * np.pi * f)).sum(1)
        wave = np.stack([np.sin(2 * np.pi * f * times_s[:, None] + p).sum(1) / 3 for f, p in self._waves], 1) * self._amplitude
        turned = rotations.from_vector(0.3 * wave[:, :3]) @ (self._rest + self._bend * wave[:, 3:4, None]).transpose(0, 2, 1)
        return turned.transpose(0, 2, 1) + 0.05 * wave[:, None, 3:] + [0.0, 0.0, 0.5]

    def seen(self, times: PerView[np.ndarray], noise_px: float = 1.0, seed: int = 1) -> PerView[HandMotion]:
        """The hand in each view, in whose frames at `times` landmarks have an error of `noise_px`."""
        chance = np.random.default_rng(seed)
        points = PerView(self.joints(times.left), self.joints(times.right) @ R_RIGHT_FROM_LEFT.T + T_RIGHT_FROM_LEFT)

        def motion(times_s: np.ndarray, points: np.ndarray) -> HandMotion:
            pixels = FOCAL_PX * points[..., :2] / points[..., 2:] + CENTRE_PX
            return HandMotion(times_s, pixels + chance.normal(0, noise_px, pixels.shape))

        return PerView(motion(times.left, points.left), motion(times.right, points.right))


def clips(lag_s: float, rate: float = 1.0, *, seconds: float = 8.0, seed: int = 0, noise_px: float = 1.0) -> PerView[HandMotion]:
    """Two clips of one hand, each with times from its own beginning at 30 frames a second.

    The right one began `lag_s` after the left one and plays `rate` times slower.
    """
    own_s = np.arange(0, seconds, 1 / 30), np.arange(0, seconds * rate, 1 / 30)
    real = MovingHand(seed).seen(PerView(own_s[0], own_s[1] / rate + lag_s), noise_px)
    return PerView(HandMotion(own_s[0], real.left.pixels), HandMotion(own_s[1], real.right.pixels))


def still(seconds: float = 8.0, seed: int = 3, noise_px: float = 1.0) -> PerView[HandMotion]:
    """A hand that does not move, with landmarks that jitter."""
    times_s = np.arange(0, seconds, 1 / 30)
    return MovingHand(seed, amplitude=0.0).seen(PerView(times_s, times_s), noise_px)
