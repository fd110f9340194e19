"""How a network's graph becomes int8: U8 activations and S8 weights, per channel, with the ranges of a calibration.

A plan holds the range of every activation and which convolutions stay in float. It outlives the weights: new ones are quantised
with the kept ranges, and the parity check decides whether that is accurate enough.
"""

import logging
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime

from hand.files import saving
from runtime.engines.refused import EngineRefused
from runtime.networks.graph import INPUT, copy_model
from runtime.networks.weights import DEFAULT_WEIGHTS

_QUANTISED = ("Add", "Clip", "Concat", "Conv", "MaxPool", "Relu", "Resize")
_BATCH = 16
WITHOUT: dict[str, str] = {
    "mediapipe-3d": "with the ten convolutions that suffer most in float, joints on the stored crops still move by 4.2 mm on "
    "average, and 1.5 are allowed",
}
"""Architectures for which no plan ships, and why (docs/results.md, Engines)."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Quantization of a network; a JSON file."""

    architecture: str
    """As in the weights' manifest."""
    calibrated_on: str
    """In words."""
    float_convolutions: tuple[str, ...]
    """Convolutions, by their weights' module, that stay in float: eight bits hurt them most."""
    ranges: dict[str, tuple[float, float]]
    """Least and largest value of each activation, by its name in the graph."""


def plan_file(weights: Path) -> Path:
    """The plan's file, next to a weights file."""
    return weights.with_suffix(".int8.json")


def load_plan(weights: Path, architecture: str) -> Plan:
    """The plan of a weights file: its own or, of the same architecture, the one that ships. Raises EngineRefused without one."""
    own = plan_file(weights)
    path = own if own.is_file() else plan_file(DEFAULT_WEIGHTS)
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise EngineRefused(
            f"cannot read {path}: {error.strerror}; make it with python -m export.int8 --weights {weights}"
        ) from error
    except msgspec.DecodeError as error:
        raise EngineRefused(
            f"{path} is no plan for int8 ({error}): make it anew, python -m export.int8 --weights {weights}"
        ) from error
    if plan.architecture != architecture and architecture in WITHOUT:
        why = f"and none of a {architecture} ships: {WITHOUT[architecture]}"
        raise EngineRefused(f"there is no int8 plan for {weights}, {why}; use --engine onnx")
    if plan.architecture != architecture:
        raise EngineRefused(f"there is no int8 plan for {weights}: calibrate it once, python -m export.int8 --weights {weights}")
    return plan


def save_plan(plan: Plan, path: Path) -> None:
    """Raises UserError where it cannot be written."""
    with saving(path) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")


def convolutions(graph: onnx.ModelProto) -> list[str]:
    """The graph's convolutions, by their weights' module, in order."""
    return [_module(node) for node in graph.graph.node if node.op_type == "Conv"]


def quantisable(graph: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that may be int8: convolutions and what precedes them, not the decoding of joints."""
    used: set[str] = set()
    found: list[onnx.NodeProto] = []
    floats = {value.name for value in graph.graph.value_info if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    for node in reversed(graph.graph.node):
        if node.op_type == "Conv" or used & set(node.output):
            used |= set(node.input)
            if node.op_type in _QUANTISED and node.output[0] in floats:
                found.append(node)
    return found[::-1]


def measure_ranges(model: onnx.ModelProto, crops: np.ndarray) -> dict[str, tuple[float, float]]:
    """Least and largest value of each tensor that may be int8, of a self-contained float model on crops (N, S, S, 3) uint8."""
    stored = {tensor.name for tensor in model.graph.initializer}
    names = list(dict.fromkeys(t for n in quantisable(model) for t in (*n.input, *n.output) if t and t not in stored))
    watched = copy_model(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for start in range(0, len(crops), _BATCH):
        values = session.run(names, {INPUT: crops[start : start + _BATCH]})
        low = np.minimum(low, [np.asarray(value).min() for value in values])
        high = np.maximum(high, [np.asarray(value).max() for value in values])
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def quantize(model: onnx.ModelProto, plan: Plan, weight_bits: int | None = None, alone: str | None = None) -> onnx.ModelProto:
    """The int8 model of a self-contained float one. `weight_bits`: 7 or 8; None takes 7 where products of 8 overflow here.

    `alone`: quantise this convolution and nothing else, whatever the plan keeps in float.

    Raises EngineRefused where the plan is not this graph's.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    bits = weight_bits or (7 if int8_saturates() else 8)
    nodes = quantisable(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    unknown = {t for n in nodes for t in (*n.input, *n.output) if t and t not in stored} - plan.ranges.keys()
    if unknown:
        raise EngineRefused(
            f"the int8 plan knows no range of {min(unknown)}: it is of another network, make it with python -m export.int8"
        )
    ranges = TensorsData(CalibrationMethod.MinMax, {name: (np.float32(a), np.float32(b)) for name, (a, b) in plan.ranges.items()})
    chosen = [node.name for node in nodes if _is_chosen(node, plan, alone)]
    # It warns that its own command line would pre-process the model first.
    logging.getLogger().addFilter(_is_no_advice)
    try:
        quantiser = QDQQuantizer(
            copy_model(model),
            per_channel=True,
            reduce_range=bits == 7,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=chosen,
            nodes_to_exclude=[],
            op_types_to_quantize=list(_QUANTISED),
            extra_options={},
        )
        quantiser.quantize_model()
    finally:
        logging.getLogger().removeFilter(_is_no_advice)
    return quantiser.model.model


@cache
def int8_saturates() -> bool:
    """Whether this machine's U8 × S8 products overflow: x86 before VNNI adds two of them in 16 bits (VPMADDUBSW).

    Weights of seven bits never do. Asked of ONNX Runtime itself, by a convolution whose products do overflow.
    """
    channels = 64
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    one, zero = np.float32(1), np.uint8(0)
    stored = {
        "x_scale": one, "x_zero": zero, "w": np.full((channels, channels, 1, 1), 127, np.int8), "w_scale": one,
        "w_zero": np.int8(0), "y_scale": np.float32(channels * 255), "y_zero": zero,
    }  # fmt: skip
    node = helper.make_node("QLinearConv", ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "y_zero"], ["y"])
    graph = helper.make_graph(
        [node],
        "overflow",
        [helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, [1, channels, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.UINT8, [1, channels, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output = np.asarray(session.run(["y"], {"x": np.full((1, channels, 8, 8), 255, np.uint8)})[0])
    return bool((output < 127).any())


def _is_chosen(node: onnx.NodeProto, plan: Plan, alone: str | None) -> bool:
    """Whether a node is to run in eight bits."""
    if node.op_type != "Conv":
        return alone is None
    return _module(node) == alone if alone else _module(node) not in plan.float_convolutions


def _module(convolution: onnx.NodeProto) -> str:
    return convolution.input[1].removesuffix(".weight").removeprefix("network.")


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
