"""What runs a network: crops in, joints out, as numpy; and the choice among engines."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch

from hand.errors import UserError
from runtime.network import HandNetwork, fused
from runtime.weights import DEFAULT_WEIGHTS, Manifest, load_network

EngineName = Literal["auto", "torch", "onnx", "onnx-int8", "tensorrt"]


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

    def renewed(self, network: HandNetwork, manifest: Manifest) -> "Engine":
        """This engine for other weights of the same network, built aside: this one goes on as it is. May be called on any thread.

        `network`, whose batch-norms were not folded, stays as it is. Raises UserError where the new engine is refused.
        """
        ...


class TorchEngine:
    """Runs the network in torch, float32, on the GPU where there is one.

    `threads` sets torch's thread count for the whole process; None leaves it.
    """

    def __init__(self, network: HandNetwork, manifest: Manifest, *, threads: int | None = None, device: str | None = None):
        if threads is not None:
            torch.set_num_threads(threads)
        self.manifest = manifest
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.description = f"torch on {self.device.type}"
        self._network = fused(network).to(self.device)

    def __call__(self, images: np.ndarray) -> Predictions:
        size = self.manifest.crop_size
        assert images.dtype == np.uint8 and images.shape[1:] == (size, size, 3), (images.dtype, images.shape)
        with torch.inference_mode():
            hands = self._network(torch.from_numpy(images).to(self.device))
        return Predictions(*(value.float().cpu().numpy() for value in (hands.joints, hands.pixels, hands.confidence)))

    def renewed(self, network: HandNetwork, manifest: Manifest) -> "TorchEngine":
        engine = TorchEngine(deepcopy(network), manifest, device=str(self.device))
        engine.description = self.description
        return engine


def choose_engine(name: EngineName = "auto", weights: Path = DEFAULT_WEIGHTS, *, threads: int | None = None) -> Engine:
    """The engine called `name`; `auto` takes the fastest that this machine runs.

    Raises UserError for an engine that is not to be had, or weights that cannot be loaded.
    """
    if name not in ("auto", "torch"):
        raise UserError(f"engine {name!r} is not in this version: use --engine torch or auto")
    engine = TorchEngine(*load_network(weights), threads=threads)
    if name == "auto":
        engine.description += " (auto: the one engine of this version)"
    return engine
