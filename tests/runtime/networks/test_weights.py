"""Weights round-trip through their files; files that cannot be loaded raise a one-line error."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from hand.errors import UserError
from runtime.engines.selection import select_engine
from runtime.engines.torch_engine import TorchEngine
from runtime.networks.detnet import DetNet
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, load_network, save_network

MANIFEST = Manifest(
    architecture="detnet", root=9, crop_size=64, map_size=16, axes="crop", training_data="none", accuracy={"dual_mm": 30.5}
)


@pytest.fixture(scope="module")
def network() -> HandNetwork:
    torch.manual_seed(0)
    return HandNetwork(DetNet(root=9), 64).eval()


@pytest.fixture(scope="module")
def stored(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_network(path, network, MANIFEST)
    return path


def test_a_stored_network_loads_as_float32(network, stored):
    loaded, manifest = load_network(stored)
    assert manifest.sha256 and manifest.accuracy == {"dual_mm": 30.5} and loaded.crop_size == 64
    for name, value in loaded.network.state_dict().items():
        original = network.network.state_dict()[name]
        assert value.dtype == original.dtype
        torch.testing.assert_close(value, original, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_published_checkpoints_load_by_their_names(network, tmp_path, prefix):
    path = tmp_path / "ckp_detnet_68.pth"
    torch.save({prefix + name: value for name, value in network.network.state_dict().items()}, path)
    loaded, manifest = load_network(path)
    assert (manifest.root, manifest.axes, manifest.crop_size) == (9, "frame", 128)
    assert torch.equal(loaded.network.state_dict()["resnet50.conv1.weight"], network.network.resnet50.conv1.weight)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "ckp_detnet_37.pth"
    torch.save({"weights": Path("anything but tensors")}, path)
    with pytest.raises(UserError, match="not a readable checkpoint"):
        load_network(path)


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def other_architecture(path: Path) -> None:
    manifest = path.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"detnet"', '"hourglass"'))


def unknown_key(path: Path) -> None:
    manifest = path.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"root"', '"rooot"'))


def without_manifest(path: Path) -> None:
    path.with_suffix(".json").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damaged, "sha256"),
        (other_architecture, "hourglass"),
        (unknown_key, "rooot"),
        (without_manifest, "No such file"),
        (Path.unlink, "No such file"),
    ],
)
def test_invalid_files_raise_and_are_named(stored, tmp_path, spoil, message):
    path = tmp_path / "net.safetensors"
    path.write_bytes(stored.read_bytes())
    path.with_suffix(".json").write_bytes(stored.with_suffix(".json").read_bytes())
    spoil(path)
    with pytest.raises(UserError, match=message) as caught:
        load_network(path)
    assert str(tmp_path) in str(caught.value) or message == "hourglass"
    assert "\n" not in str(caught.value)


def test_tensors_of_another_network_raise(network, tmp_path):
    path = tmp_path / "ckp_detnet_37.pth"
    state = dict(network.network.state_dict())
    state["resnet50.conv1.weight"] = torch.zeros(64, 1, 7, 7)
    torch.save(state, path)
    with pytest.raises(UserError, match="resnet50.conv1.weight"):
        load_network(path)


def test_a_checkpoint_that_its_manifest_does_not_describe_raises(network, tmp_path):
    path = tmp_path / "mine.pth"
    torch.save(network.network.state_dict(), path)
    manifest = Manifest(architecture="detnet", root=9, crop_size=128, map_size=32, axes="frame", training_data="ours")
    path.with_suffix(".json").write_bytes(msgspec.json.encode(manifest))
    assert load_network(path)[1].root == 9, "without a hash nothing is compared"
    path.with_suffix(".json").write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, sha256="0" * 64)))
    with pytest.raises(UserError, match="damaged or not the one described"):
        load_network(path)


def test_engine_predicts_as_the_network(stored):
    engine = select_engine("torch", stored)
    assert isinstance(engine, TorchEngine) and "torch" in engine.description
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    predictions = engine(images)
    with torch.inference_mode():
        hands = load_network(stored)[0](torch.from_numpy(images))
    np.testing.assert_allclose(predictions.joints, hands.joints, atol=1e-3)
    np.testing.assert_allclose(predictions.confidence, hands.confidence, atol=1e-4)
    assert predictions.pixels.shape == (2, 21, 2)
