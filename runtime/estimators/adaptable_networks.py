"""The networks that can be adapted, by the estimator that they are of: their weights, and what looks for the hand with them."""

from dataclasses import replace
from pathlib import Path

import torch

from capture.views import PerView
from hand.errors import UserError
from runtime.engines.engine import Engine
from runtime.engines.onnx_engine import OnnxEngine
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.crop_prediction import tells_hand
from runtime.estimators.estimator import Estimator, FollowSettings
from runtime.estimators.registry import AdaptableName, estimator_of
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network


def weights_of(name: AdaptableName, given: Path | None = None) -> Path:
    """The weights that are `given`, else those that the estimator comes with. Raises UserError where its parts are missing."""
    if given is not None:
        return given
    if name == "detnet":
        return DEFAULT_WEIGHTS
    from runtime.estimators.mediapipe_3d import default_weights

    return default_weights()


def load_adaptable(name: AdaptableName, given: Path | None = None) -> tuple[HandNetwork, Manifest]:
    """The estimator's network. Raises UserError for weights that are another estimator's, or cannot be loaded."""
    weights = weights_of(name, given)
    network, manifest = load_network(weights)
    fitting = estimator_of(manifest.architecture)
    if fitting != name:
        raise UserError(f"{weights} holds weights of a {manifest.architecture}: use them with --estimator {fitting}")
    return network, manifest


def adaptable_engine(network: HandNetwork, manifest: Manifest, threads: int, device: torch.device) -> Engine:
    """The network in torch or, where that is much faster, in ONNX Runtime; it may be changed in place."""
    if device.type == "cpu" and tells_hand(manifest):
        return OnnxEngine(network, manifest, threads=threads)
    return TorchEngine(network, manifest, threads=threads, device=str(device))


def make_estimator(
    name: AdaptableName,
    given: Path | None,
    sizes_px: PerView[tuple[int, int]],
    follow: FollowSettings,
    threads: int,
    device: torch.device,
) -> Estimator:
    """The estimator with that network, in torch or, where that is much faster, in ONNX Runtime. Raises UserError."""
    network, manifest = load_adaptable(name, given)
    engine = adaptable_engine(network, manifest, threads, device)
    if name == "detnet":
        from runtime.estimators.locator import load_locator

        return CropEstimator(engine, load_locator(), sizes_px, follow)
    from runtime.estimators.mediapipe_3d import ANYWHERE, load_palm_locator

    return CropEstimator(engine, load_palm_locator(follow.roi, threads=threads), sizes_px, replace(follow, roi=ANYWHERE))
