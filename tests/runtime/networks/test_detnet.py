"""DetNet equals the published network: state dict, size and predictions."""

import json

import numpy as np
import pytest
import torch

from runtime.networks.detnet import DetNet
from runtime.networks.network import HandNetwork, peak_pixels, peaks, read_at
from tests.paths import SHARED

VECTORS = SHARED / "vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the reference vectors are not beside the repository")


def state_by_rule(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """The probe's weights: key number i of the sorted keys draws from default_rng(i)."""

    def draw(key: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
        if key.endswith("num_batches_tracked"):
            return np.zeros(shape, np.int64)
        if key.endswith("running_var"):
            return rng.uniform(0.5, 1.5, shape)
        if key.endswith("running_mean"):
            return rng.normal(0, 0.1, shape)
        if key.endswith("prediction.weight"):
            return rng.normal(0, 0.02, shape)
        if key.endswith("bn3.weight"):
            return rng.uniform(0.05, 0.25, shape)
        if len(shape) == 4:
            return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
        if key.endswith(".weight"):
            return rng.uniform(0.5, 1.5, shape)
        return rng.normal(0, 0.1, shape)

    drawn = {key: draw(key, shapes[key], np.random.default_rng(i)) for i, key in enumerate(sorted(shapes))}
    return {key: torch.from_numpy(np.asarray(v, np.int64 if v.dtype == np.int64 else np.float32)) for key, v in drawn.items()}


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[int]]:
    return json.loads((VECTORS / "detnet_state_dict.json").read_text())


@needs_vectors
def test_state_dict_matches_the_published_one(shapes):
    network = DetNet()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 12.97


@needs_vectors
def test_predictions_match_the_published_ones(shapes):
    network = DetNet().eval()
    network.load_state_dict(state_by_rule(shapes))
    images = torch.from_numpy(np.random.default_rng(999).uniform(-0.5, 0.5, (2, 3, 128, 128)).astype(np.float32))
    with torch.inference_mode():
        maps = network(images)
        index, confidence = peaks(maps.heat)
    probe = np.load(VECTORS / "detnet_probe.npz")

    np.testing.assert_array_equal(torch.stack([index // 32, index % 32], -1), probe["row_col"])
    np.testing.assert_allclose(confidence, probe["confidence"], atol=1e-4)
    np.testing.assert_allclose(maps.heat[:, :2], probe["heat"], atol=1e-4)
    np.testing.assert_allclose(maps.location[:, 15:18], probe["location_map_joint5"], atol=1e-4)
    np.testing.assert_allclose(read_at(maps.location, index), probe["location"], atol=1e-4)
    np.testing.assert_allclose(read_at(maps.delta, index), probe["delta"], atol=1e-4)


def test_a_synthetic_peak_is_decoded_at_its_position():
    size, map_size, sigma = 128, 32, 1.5
    truth = torch.tensor([[[10.0, 20.0], [63.5, 64.0], [101.3, 47.9]]])
    cells = (truth + 0.5) * map_size / size - 0.5
    grid = torch.arange(map_size).float()
    x, y = cells[..., 0, None, None], cells[..., 1, None, None]
    heat = torch.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * sigma**2))
    index, _ = peaks(heat)
    torch.testing.assert_close(peak_pixels(heat, index, size), truth, atol=1e-2, rtol=0)


@pytest.mark.parametrize("root", [0, 9])
def test_wrapped_network_returns_unit_hands_for_any_root(root):
    torch.manual_seed(0)
    wrapped = HandNetwork(DetNet(root), crop_size=64).eval()
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        hands = wrapped(images)
    assert torch.all(hands.joints[:, 0] == 0)
    torch.testing.assert_close(hands.joints[:, 9].norm(dim=-1), torch.ones(2))
    assert hands.pixels.shape == (2, 21, 2) and hands.confidence.shape == (2, 21)
