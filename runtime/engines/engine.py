"""What an engine is: it runs a network, crops in and joints out, as numpy arrays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""Number format that an engine computes with."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted hands in N crops."""

    joints: np.ndarray
    """(N, 21, 3) float32 unit hands, in the axes that the manifest names; right hands only."""
    pixels: np.ndarray
    """(N, 21, 2) float32 in the crop."""
    confidence: np.ndarray
    """(N, 21) float32 in [0, 1]."""
    presence: np.ndarray | None = None
    """(N,) float32 in [0, 1]: that the crop shows a hand; None for networks that do not tell."""
    right: np.ndarray | None = None
    """(N,) float32 in [0, 1]: that it is a right hand, as the crop shows it; None for networks that do not tell."""
    pixel_sigma: np.ndarray | None = None
    """(N, 21) float32 standard deviation of each joint's pixel along one axis, hands; None for networks that do not tell."""

    @classmethod
    def of(cls, outputs: Mapping[str, np.ndarray]) -> "Predictions":
        """From a network's outputs by name, of which `prediction_names` are needed."""
        return cls(**{name: outputs[name] for name in prediction_names(outputs)})


def prediction_names(outputs: Iterable[str]) -> list[str]:
    """Those of a network's outputs that are predictions: not heat maps, which only adaptation needs."""
    return [name for name in outputs if name in Predictions.__slots__]


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
    """An engine that can be made again for other weights; every engine of `runtime.engines.selection` is one."""

    def refitted(self, network: HandNetwork, manifest: Manifest) -> "RefittableEngine":
        """A new engine of this kind for other weights of the same architecture; this one stays in use. For any thread.

        `network`, whose batch-norms are not folded, stays as it is. Raises EngineRefused.
        """
        ...


def check_images(images: np.ndarray, size: int) -> None:
    """Assert that these are crops (N, S, S, 3) uint8 of S = `size`."""
    assert images.dtype == np.uint8 and images.shape[1:] == (size, size, 3), (images.dtype, images.shape)
