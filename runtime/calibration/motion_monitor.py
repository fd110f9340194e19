"""Whether new pairs still fit a geometry, or a camera was moved."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from runtime.calibration.keyframes import Keyframe
from runtime.geometry.two_view import TwoViewGeometry

MOVED_NS, MOVED_PAIRS, MOVED_FACTOR = 1_000_000_000, 10, 1.5
"""A camera counts as moved when over this time, and at least so many pairs, the median residual is so many times the usual."""
MIN_USUAL = 0.3
"""Standard deviations: a few keyframes may fit a geometry better than later ones do."""


@dataclass(slots=True)
class MotionMonitor:
    """Compares the residuals of the newest pairs with the usual ones."""

    geometry: TwoViewGeometry
    usual_residual: float
    """90 % quantile of the keyframes' residuals when the geometry was found, standard deviations."""
    recent: deque[tuple[int, float]] = field(default_factory=deque)

    def moved(self, pair: Keyframe) -> bool:
        """Whether the residuals of this pair and those of the last second show that a camera was moved."""
        self.recent.append((pair.captured_ns, residual(self.geometry, pair)))
        while pair.captured_ns - self.recent[0][0] > MOVED_NS:
            self.recent.popleft()
        residuals = [value for _, value in self.recent]
        return len(residuals) >= MOVED_PAIRS and float(np.median(residuals)) > MOVED_FACTOR * self.usual_residual

    @classmethod
    def of(cls, geometry: TwoViewGeometry, pairs: tuple[Keyframe, ...]) -> "MotionMonitor":
        """Of a geometry that fits these pairs."""
        usual = float(np.quantile([residual(geometry, pair) for pair in pairs], 0.9))
        return cls(geometry, max(usual, MIN_USUAL))


def residual(geometry: TwoViewGeometry, pair: Keyframe) -> float:
    """Median epipolar residual over the joints, in standard deviations of the pixels."""
    residuals_px = geometry.sampson_px(pair.hands.map(lambda hand: hand.pixels))
    return float(np.median(np.abs(residuals_px) / np.hypot(pair.sigma_px.left, pair.sigma_px.right)))
