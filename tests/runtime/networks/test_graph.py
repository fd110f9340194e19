"""Shipped graphs contain no weights, take any batch size and equal a fresh export."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.graphs import manifests
from runtime.engines.parity import probe
from runtime.networks.detnet import DetNet
from runtime.networks.graph import (
    INPUT,
    OPSET,
    SHIPPED,
    export_graph,
    fill_weights,
    fits,
    graph_of,
    weights_of,
    weights_sha256,
)
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX
from runtime.networks.network import HandNetwork, fuse_batch_norms
from runtime.networks.weights import Manifest


def run(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, {INPUT: images})]


def test_filled_graph_predicts_as_the_network_for_any_batch_size(shipped):
    network, manifest = shipped
    weights = weights_of(network)
    model = fill_weights(graph_of(manifest, weights), weights, manifest)
    for images in (probe(64)[:1], probe(64)[1:6]):
        with torch.inference_mode():
            hands = network(torch.from_numpy(images))
        for answer, expected in zip(run(model, images), hands, strict=True):
            np.testing.assert_allclose(answer, expected.numpy(), atol=2e-4)


def test_filled_graph_metadata_identify_the_weights(shipped):
    network, manifest = shipped
    weights = weights_of(network)
    model = fill_weights(graph_of(manifest, weights), weights, manifest)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert manifest.sha256 in metadata["manifest"] and metadata["opset"] == str(OPSET) == str(model.opset_import[0].version)
    assert metadata["weights_sha256"] == weights_sha256(weights)
    assert weights_sha256({**weights, "network.head.bias": weights["network.head.bias"] + 1e-6}) != metadata["weights_sha256"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_graphs_contain_neither_weights_nor_paths(name):
    data = SHIPPED[name].read_bytes()
    assert len(data) < 100_000 and b".py" not in data


def test_detnet_graph_fits_every_root():
    weights = weights_of(HandNetwork(DetNet(9), 128))
    manifest = Manifest(architecture="detnet", root=9, crop_size=128, map_size=32, axes="frame", training_data="none")
    graph = onnx.load(SHIPPED["detnet"], load_external_data=False)
    assert fits(graph, manifest, weights)
    assert not any(name.endswith(("running_mean", "running_var")) for name in weights), "every batch-norm is folded"
    one = dict(list(weights.items())[1:])
    assert not fits(graph, manifest, one)


def test_the_graph_of_mediapipe_3d_predicts_as_the_network():
    torch.manual_seed(0)
    network = HandNetwork(MediaPipe3D(), INPUT_PX).eval()
    with torch.no_grad():
        network.network.get_parameter("correction.weight").normal_(std=0.1)
    manifest = Manifest(architecture="mediapipe-3d", root=0, crop_size=INPUT_PX, axes="crop", training_data="none")
    weights = weights_of(network)
    graph = onnx.load(SHIPPED["mediapipe-3d"], load_external_data=False)
    assert fits(graph, manifest, weights)
    images = probe(INPUT_PX)[:2]
    with torch.inference_mode():
        hands = network(torch.from_numpy(images))
    for answer, expected in zip(run(fill_weights(graph, weights, manifest), images), hands, strict=True):
        np.testing.assert_allclose(answer, expected.numpy(), atol=2e-4)


def test_batch_norm_fusion_keeps_detnet_predictions():
    torch.manual_seed(0)
    network = DetNet()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]
            torch.nn.init.normal_(module.running_mean, std=0.1)  # pyright: ignore[reportArgumentType]
    network.eval()
    images = torch.rand(1, 3, 32, 32) - 0.5
    with torch.inference_mode():
        before = network(images)
        after = fuse_batch_norms(network)(images)
    for one, other in zip(before[:3], after[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", ["detnet-lite", "mediapipe-landmarks-lite"])
def test_shipped_graph_equals_a_fresh_export(architecture):
    pytest.importorskip("onnxscript", reason="onnxscript draws graphs: pip install onnxscript")
    (manifest,) = (one for one in manifests() if one.architecture == architecture)
    drawn, kept = export_graph(manifest), onnx.load(SHIPPED[manifest.architecture], load_external_data=False)
    for graph in (drawn, kept):
        # Who wrote it may differ, and which version of what.
        graph.ClearField("producer_version")
        graph.ClearField("producer_name")
    assert [(n.op_type, n.input, n.output) for n in drawn.graph.node] == [(n.op_type, n.input, n.output) for n in kept.graph.node]
    assert drawn.graph.initializer == kept.graph.initializer
