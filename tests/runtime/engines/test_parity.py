"""The parity check passes equal engines and refuses broken ones, with the figures."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from runtime.engines.engine import Predictions
from runtime.engines.parity import LIMITS, PROBE, check, compare, exceeded_limits, probe, reference_predictions
from runtime.engines.refused import EngineRefused
from runtime.engines.tensorrt_engine import ShortNetwork
from runtime.engines.torch_engine import TorchEngine
from runtime.networks.network import HandNetwork

HUGE = 1e5


def scaled_inside(network: HandNetwork, by: float) -> HandNetwork:
    """The same function in exact arithmetic, with inner activations `by` times as large."""
    changed = deepcopy(network)
    state = changed.network.state_dict()
    for name in ("stem.2.first.1.weight", "stem.2.first.1.bias"):
        state[name] *= by
    state["stem.2.second.0.weight"] /= by
    return changed


@pytest.mark.parametrize("size", [64, 128])
def test_probe_is_small_and_has_the_requested_crop_size(size):
    crops = probe(size)
    assert PROBE.stat().st_size <= 300_000
    assert crops.shape == (20, size, size, 3) and crops.dtype == np.uint8 and crops.std() > 20


def test_reference_passes_parity_and_is_not_modified(shipped):
    network, manifest = shipped
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parity = check(TorchEngine(deepcopy(network), manifest), "fp32", network, manifest.crop_size, "torch")
    assert parity.largest_mm < 0.01
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_dropped_bias_fails_parity(shipped):
    network, manifest = shipped
    broken = deepcopy(network)
    broken.network.state_dict()["deep.1.first.1.bias"].zero_()
    with pytest.raises(EngineRefused, match=r"broken fails the parity check .*largest mm [\d.]+, at most 0\.05") as caught:
        check(TorchEngine(broken, manifest), "fp32", network, manifest.crop_size, "broken")
    assert "\n" not in str(caught.value)
    assert caught.value.parity is not None and caught.value.parity.largest_mm > 0.05


def test_presence_and_handedness_count_as_confidences(shipped):
    network, manifest = shipped
    hands = reference_predictions(network, probe(manifest.crop_size)[:4])
    told = replace(hands, presence=np.full(4, 0.9), right=np.full(4, 0.8))
    assert compare(told, told).largest_confidence == 0
    assert compare(replace(told, right=np.full(4, 0.3)), told).largest_confidence == pytest.approx(0.5)


def short_engine(network: HandNetwork):
    short = ShortNetwork(network, "fp16").eval()

    def run(images: np.ndarray) -> Predictions:
        with torch.inference_mode():
            return Predictions(*(value.numpy() for value in short(torch.from_numpy(images))[:3]))

    return run


def test_fp16_passes_parity_unless_activations_overflow(shipped):
    network, manifest = shipped
    check(short_engine(network), "fp16", network, manifest.crop_size, "half")
    huge = scaled_inside(network, HUGE)
    check(TorchEngine(deepcopy(huge), manifest), "fp32", huge, manifest.crop_size, "full")
    with pytest.raises(EngineRefused, match="half fails the parity check.*nan"):
        check(short_engine(huge), "fp16", huge, manifest.crop_size, "half")


def test_nan_predictions_exceed_every_limit(shipped):
    network, manifest = shipped
    expected = reference_predictions(network, probe(manifest.crop_size)[:4])
    nothing = Predictions(*(np.full_like(getattr(expected, name), np.nan) for name in ("joints", "pixels", "confidence")))
    for precision in LIMITS:
        assert not exceeded_limits(compare(expected, expected), precision)
        assert len(exceeded_limits(compare(nothing, expected), precision)) == 6
