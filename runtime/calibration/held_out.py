"""Which of two calibrations is better, by pairs that neither was solved on.

A later solution rests on more pairs, but may lie in another valley of the cost. What it was fitted to speaks for it in any case;
pairs that were held out do not.
"""

import numpy as np

from capture.views import PerView
from runtime.calibration.bundle import Keypoints
from runtime.calibration.check_fit import costs, noise_of
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer
from runtime.geometry.two_view import TwoViewGeometry

CAPACITY = 24
MIN_PAIRS = 8
"""With fewer, nothing is said."""
BLOCK_NS = 500_000_000
"""Pairs within this time have correlated errors."""


class HeldOutPairs:
    """Few and varied pairs that no calibration is solved on."""

    def __init__(self, widths_px: PerView[int]):
        self._buffer: KeyframeBuffer[Keyframe] = KeyframeBuffer(widths_px, CAPACITY)

    def add(self, pair: Keyframe) -> None:
        self._buffer.add(pair)

    def forget_before(self, captured_ns: int) -> None:
        """Drop the pairs captured before then."""
        self._buffer.forget_before(captured_ns)

    def lead(self, better: TwoViewGeometry, worse: TwoViewGeometry) -> float:
        """Standard errors by which `better` explains these pairs better than `worse`; 0 where they are too few to say."""
        if len(self._buffer) < MIN_PAIRS:
            return 0.0
        views = self._buffer.keypoints(better.cameras.map(lambda camera: np.array(camera.centre_px)))
        time_ns = np.array([pair.captured_ns for pair in self._buffer.pairs])
        return lead(better, worse, views, (time_ns - time_ns[0]) // BLOCK_NS)


def lead(better: TwoViewGeometry, worse: TwoViewGeometry, views: PerView[Keypoints], block: np.ndarray) -> float:
    """Standard errors by which the first explains pairs better, whose errors within a `block` (F,) are correlated."""
    noise = max(min(noise_of(better, views), noise_of(worse, views)), 1e-9)
    more = costs(worse, views, noise) - costs(better, views, noise)
    _, member = np.unique(block, return_inverse=True)
    sums = np.bincount(member, more)
    if len(sums) < 2:
        return 0.0
    return float(sums.sum() / max(sums.std(ddof=1) * np.sqrt(len(sums)), 1e-9))
