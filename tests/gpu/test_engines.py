"""GPU engines predict as torch on a CPU does, and can be refitted while they run."""

import threading
from copy import deepcopy

import numpy as np
import pytest
import torch

from runtime.engines.parity import compare, predict_in_batches, probe, reference_predictions
from runtime.engines.selection import make_engine, select_engine
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]

MAX_MM = {"torch": 0.05, "onnx": 0.05, "tensorrt": 0.5}


@pytest.fixture(scope="module", params=MAX_MM)
def made(request):
    """An engine by name, made once."""
    if request.param == "tensorrt":
        pytest.importorskip("torch_tensorrt", reason="needs torch-tensorrt: pip install 'duohand[tensorrt]'")
    network, manifest = load_network(DEFAULT_WEIGHTS)
    return request.param, make_engine(request.param, network, manifest, DEFAULT_WEIGHTS)


@pytest.mark.parametrize("count", [1, 2, 4, 12, 20])
def test_predictions_match_the_cpu_for_any_batch_size(made, count):
    name, engine = made
    network, manifest = load_network(DEFAULT_WEIGHTS)
    images = probe(manifest.crop_size)[:count]
    assert compare(engine(images), reference_predictions(network, images)).mean_mm < MAX_MM[name]


def test_cuda_graph_gives_each_batch_its_own_predictions(made):
    _, engine = made
    images = probe(engine.manifest.crop_size)
    first, second = engine(images[:2]), engine(images[2:4])
    again = engine(images[:2])
    np.testing.assert_allclose(first.joints, again.joints, atol=1e-5)
    assert np.abs(first.joints - second.joints).max() > 0.01


def test_refitted_in_another_thread_has_the_new_weights(made):
    name, engine = made
    network, manifest = load_network(DEFAULT_WEIGHTS)
    other = deepcopy(network)
    with torch.no_grad():
        for value in other.parameters():
            value *= 1.01
    images = probe(manifest.crop_size)
    new: list = []
    swap = threading.Thread(target=lambda: new.append(engine.refitted(other, manifest)))
    swap.start()
    while swap.is_alive():
        engine(images[:2])
    swap.join()
    assert compare(predict_in_batches(new[0], images), reference_predictions(other, images)).mean_mm < MAX_MM[name]
    assert compare(predict_in_batches(engine, images), reference_predictions(network, images)).mean_mm < MAX_MM[name]


def test_auto_selects_a_gpu_engine(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "auto" in select_engine("auto").description
