"""MediaPipe's models in torch predict as in LiteRT, and are read once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hand.errors import UserError
from runtime.engines.parity import probe
from runtime.networks.mediapipe_base import ARCHITECTURE_OF, base_weights, tensors_of
from runtime.networks.mediapipe_files import LANDMARKS, SHA256, ModelsNotFetched, model_file
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.tflite_layers import read_layers
from runtime.networks.weights import load_network

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


def test_a_model_that_was_not_fetched_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelsNotFetched, match=r"hand_landmark_full\.tflite is not there: fetch MediaPipe's models once"):
        base_weights("mediapipe")
