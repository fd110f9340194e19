"""What runs a network, whichever way: crops in, joints out, as numpy."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""Of the numbers that an engine computes with."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Hands in N crops."""

    joints: np.ndarray
    """(N, 21, 3) float32 unit hands, in the axes that the manifest names; right hands only."""
    pixels: np.ndarray
    """(N, 21, 2) float32 in the crop."""
    confidence: np.ndarray
    """(N, 21) float32 in [0, 1]."""


class Engine(Protocol):
    """Runs one network."""

    @property
    def description(self) -> str:
        """Which engine this is and why it was chosen, for the person at the screen."""
        ...

    @property
    def manifest(self) -> Manifest:
        """Of the weights in use: crop size, axes."""
        ...

    def __call__(self, images: np.ndarray) -> Predictions:
        """Hands in crops (N, S, S, 3) uint8 RGB."""
        ...


@runtime_checkable
class RefittableEngine(Engine, Protocol):
    """One that can be had for other weights, too: what every engine of `runtime.engines.selection` is."""

    def refitted(self, network: HandNetwork, manifest: Manifest) -> "RefittableEngine":
        """This engine for other weights of the same network, built aside: this one goes on as it is. May be called on any thread.

        `network`, whose batch-norms were not folded, stays as it is. Raises EngineRefused.
        """
        ...


def check_images(images: np.ndarray, size: int) -> None:
    """Assert that these are crops (N, S, S, 3) uint8 of S = `size`."""
    assert images.dtype == np.uint8 and images.shape[1:] == (size, size, 3), (images.dtype, images.shape)
