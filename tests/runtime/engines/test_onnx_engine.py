"""ONNX Runtime predicts as torch does, in float32 and int8, and is refitted while it runs."""

import threading
from copy import deepcopy

import numpy as np
import pytest
import torch

from runtime.engines.int8 import load_plan
from runtime.engines.onnx_engine import OnnxEngine
from runtime.engines.parity import compare, probe, reference_predictions
from runtime.engines.refused import EngineRefused
from runtime.engines.torch_engine import TorchEngine
from runtime.networks.mediapipe_landmarks import INPUT_PX, MediaPipeLandmarksLite
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest
from tests.runtime.engines.test_parity import scaled_inside


@pytest.fixture(scope="module", params=["onnx", "onnx-int8"])
def engine(request, shipped) -> OnnxEngine:
    network, manifest = shipped
    plan = load_plan(DEFAULT_WEIGHTS, manifest.architecture) if request.param == "onnx-int8" else None
    return OnnxEngine(network, manifest, plan=plan, threads=1)


def retrained(network):
    """Slightly changed weights, as after adaptation."""
    other = deepcopy(network)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in other.parameters():
            value += 0.02 * value.std() * torch.randn(value.shape, generator=random)
    return other


def test_presence_and_handedness_are_predicted_where_the_network_tells_them(engine):
    torch.manual_seed(0)
    network = HandNetwork(MediaPipeLandmarksLite(), INPUT_PX).eval()
    manifest = Manifest(architecture="mediapipe-landmarks-lite", root=0, crop_size=INPUT_PX, axes="crop", training_data="none")
    images = probe(INPUT_PX)[:3]
    told, expected = OnnxEngine(network, manifest, threads=1)(images), TorchEngine(deepcopy(network), manifest)(images)
    for name in ("presence", "right"):
        np.testing.assert_allclose(getattr(told, name), getattr(expected, name), atol=1e-5)
        assert getattr(told, name).shape == (3,)
    assert engine(probe(64)[:1]).presence is None


def test_batched_and_single_crop_predictions_agree(engine):
    images = probe(64)[:3]
    together, alone = engine(images), [engine(image[None]) for image in images]
    np.testing.assert_allclose(together.joints, np.concatenate([one.joints for one in alone]), atol=1e-4)
    assert together.pixels.shape == (3, 21, 2) and together.confidence.dtype == np.float32


def test_inference_is_deterministic(engine):
    images = probe(64)[:2]
    assert np.array_equal(engine(images).joints, engine(images).joints)


def test_engine_describes_itself_and_reports_its_parity(engine):
    assert engine.description.startswith("onnx") and engine.description.endswith("on cpu")
    assert engine.parity is not None and engine.parity.mean_mm <= 1.5


def test_refitted_engine_has_the_new_weights_and_the_old_one_is_unchanged(engine, shipped):
    network, manifest = shipped
    other = retrained(network)
    before = engine(probe(64)).joints
    new = engine.refitted(other, manifest)
    assert np.array_equal(engine(probe(64)).joints, before)
    away = compare(new(probe(64)), reference_predictions(network, probe(64)))
    assert compare(new(probe(64)), reference_predictions(other, probe(64))).mean_mm < 1.5 < away.mean_mm
    assert new.description == engine.description


def test_refit_with_out_of_range_weights_is_refused_and_the_old_engine_still_runs(shipped):
    network, manifest = shipped
    engine = OnnxEngine(network, manifest, plan=load_plan(DEFAULT_WEIGHTS, manifest.architecture), threads=1)
    with pytest.raises(EngineRefused, match="onnx-int8 on cpu fails the parity check"):
        engine.refitted(scaled_inside(network, 100.0), manifest)
    assert engine(probe(64)[:2]).joints.shape == (2, 21, 3)


def test_old_engine_runs_while_another_is_built(engine, shipped):
    # A build may take a core, but not the interpreter: some call begins and ends inside of one build.
    network, manifest = shipped
    images, builds = probe(64)[:2], 20
    before, begun, enough = engine(images).joints, [], threading.Event()

    def build() -> None:
        for number in range(builds):
            begun.append(number)
            engine.refitted(network, manifest)
            begun.append(None)
            if enough.is_set():
                return

    thread = threading.Thread(target=build)
    thread.start()
    while thread.is_alive():
        at_first = len(begun)
        assert np.array_equal(engine(images).joints, before)
        if at_first % 2 and len(begun) == at_first:
            enough.set()
    thread.join()
    assert enough.is_set()
