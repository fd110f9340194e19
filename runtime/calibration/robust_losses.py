"""Robust losses of squared residuals, each with its derivative, which is the residual's weight in the normal equations."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Loss = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Squared residuals, in variances, to their losses and weights, all of one shape."""


def geman_mcclure(knee: float) -> Loss:
    """Squared for small residuals, at most knee²: outliers have no influence."""

    def loss(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = 1 / (1 + squared / knee**2)
        return squared * near, near**2

    return loss


def cauchy(knee: float) -> Loss:
    """Squared for small residuals, logarithmic for large ones: outliers keep a little influence."""

    def loss(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return knee**2 * np.log1p(squared / knee**2), 1 / (1 + squared / knee**2)

    return loss


def charbonnier(knee: float) -> Loss:
    """Squared for small residuals, linear for large ones, and convex."""

    def loss(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        root = np.sqrt(1 + squared / knee**2)
        return 2 * knee**2 * (root - 1), 1 / root

    return loss


@dataclass(frozen=True, slots=True)
class RobustLosses:
    """The losses of pixels and of bone lengths."""

    pixel: Loss
    bone: Loss
    pixel_share: float = field(init=False)
    """E[w r²] / (d E[w]) of normal residuals: how much smaller the weights make their variance seem."""
    bone_share: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixel_share", _share(self.pixel, 2))
        object.__setattr__(self, "bone_share", _share(self.bone, 1))


def _share(loss: Loss, dimensions: int) -> float:
    r = np.linspace(0, 12, 4801)
    density = r ** (dimensions - 1) * np.exp(-(r**2) / 2) * loss(r**2)[1]
    return float((density * r**2).sum() / density.sum() / dimensions)


INITIAL_LOSSES = RobustLosses(cauchy(2.0), cauchy(2.0))
"""For candidates: few local minima, and an outlying joint does not displace its neighbours."""
FINAL_LOSSES = RobustLosses(geman_mcclure(3.0), charbonnier(2.0))
"""For the solution: outlying pixels have no influence, but a bone is never an outlier."""
