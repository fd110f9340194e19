"""MediaPipe's models in torch predict as in LiteRT, and are read once."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from hand.errors import UserError
from runtime.engines.parity import probe
from runtime.estimators.mediapipe_3d import OWN_WEIGHTS
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_base import ARCHITECTURE_OF, base_weights, tensors_of
from runtime.networks.mediapipe_files import LANDMARKS, SHA256, ModelsNotFetched, model_file
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.network import HandNetwork
from runtime.networks.tflite_layers import read_layers
from runtime.networks.weights import Manifest, load_network, load_tensors, save_network, save_tensors

CHANGED = "own_trunk.0.project.weight"
"""A layer of the copies."""

pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")


@pytest.mark.usefixtures("mediapipe_models")
@pytest.mark.parametrize("name", LANDMARKS)
def test_outputs_equal_those_of_litert(name):
    """The references are the fetched models, run by LiteRT; the pixels' own size is 100, the metres' 0.05."""
    from runtime.estimators.litert import Model

    hand_network, _ = load_network(base_weights(name))
    network, model = hand_network.network, Model(model_file(LANDMARKS[name]))
    for image in probe(INPUT_PX)[::3]:
        screen, presence, right, world = model(image)
        with torch.inference_mode():
            output = network(network.normalise(torch.from_numpy(image[None])))
        np.testing.assert_allclose(output.screen.numpy(), screen, atol=2e-3)
        np.testing.assert_allclose(output.world.numpy(), world, atol=2e-6)
        np.testing.assert_allclose(output.presence.numpy(), presence[:, 0], atol=1e-5)
        np.testing.assert_allclose(output.right.numpy(), right[:, 0], atol=1e-5)


@pytest.mark.usefixtures("mediapipe_models")
def test_weights_are_read_once_and_say_where_they_come_from():
    file = base_weights("mediapipe-lite")
    made = file.stat().st_mtime_ns
    assert base_weights("mediapipe-lite") == file and file.stat().st_mtime_ns == made
    _, manifest = load_network(file)
    assert manifest.architecture == "mediapipe-landmarks-lite" and (manifest.crop_size, manifest.axes) == (INPUT_PX, "crop")
    assert SHA256[LANDMARKS["mediapipe-lite"]] in manifest.source and "Apache-2.0" in manifest.source
    assert not [*file.parent.glob(".*")], "nothing half-written is left"


@pytest.mark.usefixtures("mediapipe_models")
def test_layers_of_another_model_are_refused():
    layers = read_layers(model_file(LANDMARKS["mediapipe-lite"]))
    for wrong in (layers[:-1], layers[1:], [layers[1], layers[0], *layers[2:]]):
        with pytest.raises(UserError, match=r"m\.tflite is not the landmark model that mediapipe-landmarks-lite was written for"):
            tensors_of(wrong, ARCHITECTURE_OF["mediapipe-lite"], Path("m.tflite"))


@pytest.fixture(scope="module")
def learnt(mediapipe_models) -> tuple[HandNetwork, Manifest]:
    """The full model with own layers and heads, of which one layer of the copies was changed."""
    torch.manual_seed(0)
    plain, manifest = load_network(base_weights("mediapipe"))
    network = MediaPipe3D(hidden=8, own_blocks=1)
    base = plain.network.state_dict()
    network.load_state_dict(base | {name: base[source] for name, source in network.copies().items()}, strict=False)
    with torch.no_grad():
        for name in (CHANGED, "correction.weight"):
            changed = network.get_parameter(name)
            changed.add_(0.01 * torch.randn_like(changed))
    on_base = msgspec.structs.replace(
        manifest, architecture="mediapipe-3d", base=SHA256[LANDMARKS["mediapipe"]], options={"hidden": 8, "own_blocks": 1}
    )
    return HandNetwork(network, INPUT_PX).eval(), on_base


def test_weights_on_a_base_hold_only_what_is_added_to_it(learnt, tmp_path):
    network, manifest = learnt
    written = save_network(tmp_path / "own.safetensors", network, manifest)
    tensors, _ = load_tensors(tmp_path / "own.safetensors")
    heads = {name for name in network.network.state_dict() if name.startswith(("own_hidden.", "correction.", "expected_error."))}
    assert len(heads) == 7 and tensors.keys() == heads | {CHANGED}
    difference = network.network.get_parameter(CHANGED) - load_tensors(base_weights("mediapipe"))[0]["blocks.13.project.weight"]
    torch.testing.assert_close(tensors[CHANGED], difference, atol=1e-6, rtol=1e-3)
    loaded, read = load_network(tmp_path / "own.safetensors")
    assert read == written
    images = torch.from_numpy(probe(INPUT_PX)[:2])
    with torch.inference_mode():
        for value, expected in zip(loaded(images), network(images), strict=True):
            torch.testing.assert_close(value, expected, atol=0.02, rtol=2e-3)


def test_pixels_presence_and_handedness_stay_those_of_the_fetched_model(learnt, tmp_path):
    """To the last bit."""
    save_network(tmp_path / "own.safetensors", *learnt)
    images = torch.from_numpy(probe(INPUT_PX)[:3])
    with torch.inference_mode():
        hands, fetched = (load_network(file)[0](images) for file in (tmp_path / "own.safetensors", base_weights("mediapipe")))
    for kept in ("pixels", "presence", "right"):
        assert torch.equal(getattr(hands, kept), getattr(fetched, kept))
    assert not torch.equal(hands.joints, fetched.joints)


def test_weights_on_a_base_that_was_not_fetched_say_what_to_fetch(learnt, tmp_path, monkeypatch):
    save_network(tmp_path / "own.safetensors", *learnt)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    with pytest.raises(ModelsNotFetched, match=r"hand_landmark_full\.tflite is not there: fetch MediaPipe's models once"):
        load_network(tmp_path / "own.safetensors")


@pytest.mark.usefixtures("mediapipe_models")
def test_shipped_weights_stand_on_the_full_model_and_hold_none_of_its_numbers():
    tensors, manifest = load_tensors(OWN_WEIGHTS)
    base = load_tensors(base_weights("mediapipe"))[0]
    assert manifest.base == SHA256[LANDMARKS["mediapipe"]] and OWN_WEIGHTS.stat().st_size < 6e6
    network = load_network(OWN_WEIGHTS)[0].network
    copies = network.copies()
    assert not tensors.keys() & base.keys(), "nothing that pixels come from was trained"
    assert copies.keys() <= tensors.keys(), "all that was copied was trained, and is a difference"
    for name, source in copies.items():
        torch.testing.assert_close(network.get_parameter(name), base[source] + tensors[name])
        assert tensors[name].norm() < 0.5 * base[source].norm()


def test_weights_on_an_unknown_base_or_of_another_shape_are_refused(learnt, tmp_path):
    network, manifest = learnt
    file = tmp_path / "own.safetensors"
    save_tensors(file, {"screen.weight": torch.zeros(63, 3)}, manifest)
    with pytest.raises(UserError, match=r"own\.safetensors does not fit the model that it stands on: screen\.weight"):
        load_network(file)
    with pytest.raises(UserError, match="stand on a model of sha256 abcdef"):
        save_network(file, network, msgspec.structs.replace(manifest, base="abcdef" * 8))


def test_a_model_that_was_not_fetched_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelsNotFetched, match=r"hand_landmark_full\.tflite is not there: fetch MediaPipe's models once"):
        base_weights("mediapipe")
