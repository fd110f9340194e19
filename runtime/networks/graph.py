"""A network as an ONNX graph: uint8 crops in; what the network predicts out, by name, normalisation and decoding inside.

A graph depends on the network's architecture alone. So it is exported once, by torch's exporter, and kept without weights;
weights are filled in by their names, batch-norms folded. The graphs of our architectures ship; that of another is exported
on first use and cached.
"""

import hashlib
import warnings
from copy import deepcopy
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from torch import nn

from hand.errors import UserError
from hand.files import saving
from hand.folders import cache_folder
from runtime.networks.network import HandNetwork, fuse_batch_norms
from runtime.networks.weights import ASSETS, Manifest, build_network

INPUT = "images"
OPSET = 18
"""The newest that TensorRT 8.6, ONNX Runtime 1.14 and all later ones read."""
SHIPPED = {
    "detnet-lite": ASSETS / "detnet_lite.onnx",
    "detnet": ASSETS / "detnet.onnx",
    "mediapipe-landmarks": ASSETS / "mediapipe_landmarks.onnx",
    "mediapipe-landmarks-lite": ASSETS / "mediapipe_landmarks_lite.onnx",
    "mediapipe-3d": ASSETS / "mediapipe_3d.onnx",
}
"""Graphs without weights, by architecture; `python -m export.graphs` exports them."""
_WEIGHTS = "weights"
"""Location of external data in a graph without weights; no such file exists."""

Weights = dict[str, np.ndarray]
"""Float32 by name: the network's state, batch-norms folded."""


def weights_of(network: HandNetwork) -> Weights:
    """The weights for a network's graph; the network stays as it is."""
    folded = fuse_batch_norms(deepcopy(network).cpu())
    return {name: value.contiguous().numpy() for name, value in folded.state_dict().items()}


def graph_of(manifest: Manifest, weights: Weights) -> onnx.ModelProto:
    """The graph for `weights`, without them. Raises UserError where it must be exported and cannot be."""
    shipped = SHIPPED.get(manifest.architecture)
    if shipped is not None and shipped.is_file():
        graph = onnx.load(shipped, load_external_data=False)
        if fits(graph, manifest, weights):
            return graph
    shapes = sorted((name, value.shape) for name, value in weights.items())
    key = hashlib.sha256(repr((manifest.architecture, manifest.crop_size, shapes, OPSET)).encode()).hexdigest()[:16]
    cached = cache_folder("graphs") / f"{manifest.architecture}-{key}.onnx"
    if cached.is_file():
        graph = onnx.load(cached, load_external_data=False)
        if fits(graph, manifest, weights):
            return graph
    graph = export_graph(manifest)
    write(graph, cached)
    return graph


def fits(graph: onnx.ModelProto, manifest: Manifest, weights: Weights) -> bool:
    """Whether the graph takes such crops and exactly such weights."""
    size = [dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim[1:]]
    wanted = {tensor.name: tuple(tensor.dims) for tensor in _unfilled(graph)}
    return size == [manifest.crop_size, manifest.crop_size, 3] and wanted == {k: v.shape for k, v in weights.items()}


def export_graph(manifest: Manifest) -> onnx.ModelProto:
    """The graph of the manifest's architecture without weights, by torch's exporter (10 s or so).

    Raises UserError where the exporter's library is not installed.
    """
    try:
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports] (extra "export")
    except ImportError as error:
        raise UserError(
            f"no graph of this {manifest.architecture} ships, and exporting it needs onnxscript: pip install onnxscript, or use "
            "--engine torch"
        ) from error
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = fuse_batch_norms(build_network(manifest))
        for value in network.parameters():
            # Exporters drop zeros, and merge what is equal.
            nn.init.normal_(value, std=0.02)
    size = manifest.crop_size
    images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(network.network.outputs),
            dynamic_shapes={INPUT: {0: torch.export.Dim("n")}},
        )
    assert program is not None
    return _stripped(program.model_proto, set(network.state_dict()))


def fill_weights(graph: onnx.ModelProto, weights: Weights, manifest: Manifest) -> onnx.ModelProto:
    """A self-contained model; its metadata say whose weights it has."""
    model = copy_model(graph)
    for tensor in _unfilled(model):
        tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    write_metadata(model, manifest, weights)
    return model


def copy_model(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def write_metadata(model: onnx.ModelProto, manifest: Manifest, weights: Weights, **more: str) -> None:
    """Write into the model's metadata whose weights it has; `more` is added."""
    known = {"manifest": msgspec.json.encode(manifest).decode(), "weights_sha256": weights_sha256(weights), "opset": str(OPSET)}
    onnx.helper.set_model_props(model, known | more)


def weights_sha256(weights: Weights) -> str:
    """Of all numbers, names in order."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].tobytes())
    return digest.hexdigest()


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write the file atomically; folders are made. Raises UserError where it cannot be written."""
    with saving(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


def _unfilled(graph: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Initialisers that weights are filled into."""
    return [tensor for tensor in graph.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]


def _stripped(graph: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """The graph without the weights called `names` and without the exporter's documentation strings, which name local files."""
    missing = names - {tensor.name for tensor in graph.graph.initializer}
    assert not missing, f"the exporter renamed or dropped {sorted(missing)}"
    for part in (graph, graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.ClearField("doc_string")
        if tensor.name in names:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=_WEIGHTS)
    return graph
