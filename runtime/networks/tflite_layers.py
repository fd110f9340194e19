"""What a TFLite file holds: its layers with weights, in the order in which they run, as torch stores them.

Read by the schema that LiteRT's package brings. Half floats are widened, which is exact.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hand.errors import UserError

LayerKind = Literal["convolution", "depthwise", "linear"]
_IDENTIFIER = b"TFL3"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that has weights."""

    name: str
    """As the file calls it; layers of one shape may share a name."""
    kind: LayerKind
    weight: Tensor
    """(outputs, inputs / groups, k, k), or (outputs, inputs) of a linear one; float32."""
    bias: Tensor
    """(outputs,) float32."""
    stride: int
    """1 for linear ones."""
    relu6: bool
    """Whether its output is cut to [0, 6]."""


def read_layers(path: Path) -> list[Layer]:
    """The layers of a float model whose convolutions are padded to keep the size ("SAME").

    Raises UserError where LiteRT is not installed, or the file is not such a model.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise UserError(
            "LiteRT, which reads MediaPipe's models, is not installed: pip install ai-edge-litert, or use --estimator detnet"
        ) from error
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; fetch it with python -m tools.get_mediapipe") from error
    if data[4:8] != _IDENTIFIER:
        raise UserError(f"{path} is not a TFLite model: fetch it again with python -m tools.get_mediapipe --again")
    # Its generated classes are a union of all operators' options, which no type checker can follow.
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    operator = schema.BuiltinOperator
    kinds: dict[int, LayerKind] = {
        operator.CONV_2D: "convolution",
        operator.DEPTHWISE_CONV_2D: "depthwise",
        operator.FULLY_CONNECTED: "linear",
    }
    # The first field is one byte wide in older files, the other in newer ones.
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    dequantized = {op.outputs[0]: op.inputs[0] for op in graph.operators if codes[op.opcodeIndex] == operator.DEQUANTIZE}

    def constant(index: int) -> Tensor:
        tensor = graph.tensors[dequantized.get(index, index)]
        kind = {schema.TensorType.FLOAT16: np.float16, schema.TensorType.FLOAT32: np.float32}[tensor.type]
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), kind).reshape(tensor.shape)
        return torch.from_numpy(values.astype(np.float32))

    layers = []
    for op in graph.operators:
        kind = kinds.get(codes[op.opcodeIndex])
        if kind is None:
            continue
        options, linear = op.builtinOptions, kind == "linear"
        _, weight, bias = op.inputs
        activation = options.fusedActivationFunction
        known = activation in (schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU6)
        if not known or not (linear or (options.padding == schema.Padding.SAME and options.strideH == options.strideW)):
            raise UserError(f"{path} has a layer of a kind that this version does not know: use --estimator detnet")
        layers.append(
            Layer(
                name=graph.tensors[dequantized.get(weight, weight)].name.decode(),
                kind=kind,
                weight=_as_torch(constant(weight), kind),
                bias=constant(bias),
                stride=1 if linear else options.strideH,
                relu6=activation == schema.ActivationFunctionType.RELU6,
            )
        )
    return layers


def _as_torch(weight: Tensor, kind: LayerKind) -> Tensor:
    """TensorFlow's (outputs, k, k, inputs), of depthwise ones (1, k, k, outputs), in torch's order."""
    if kind == "linear":
        return weight
    return weight.permute((3, 0, 1, 2) if kind == "depthwise" else (0, 3, 1, 2)).contiguous()
