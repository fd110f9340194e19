"""Layers are read from a TFLite file as they were written into it, in torch's order."""

import numpy as np
import pytest
import torch

from hand.errors import UserError
from runtime.networks.tflite_layers import read_layers

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="the extra [mediapipe] is not installed")
flatbuffers = pytest.importorskip("flatbuffers")


class TinyModel:
    """A TFLite model that is made operator by operator; its layers need not fit each other."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name: str, values: np.ndarray | None = None) -> int:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        tensor.name, tensor.shape = name, [1] if values is None else list(values.shape)
        tensor.type = schema.TensorType.FLOAT32 if values is None or values.dtype == np.float32 else schema.TensorType.FLOAT16
        if values is not None:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values: np.ndarray) -> int:
        """A constant; half floats are widened by an operator of their own, as converters do."""
        index = self.tensor(name, values)
        if values.dtype == np.float32:
            return index
        wide = self.tensor(f"{name}_dequantize")
        self.operator(schema.BuiltinOperator.DEQUANTIZE, [index], wide)
        return wide

    def operator(self, kind: int, inputs: list[int], output: int, options=None, options_type: int = 0) -> None:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        self.model.operatorCodes.append(code)
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes) - 1, inputs, [output]
        operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self.graph.operators.append(operator)

    def layer(self, kind: str, weight: np.ndarray, bias: np.ndarray, *, stride=1, activation=None, padding=None) -> None:
        operator, known = schema.BuiltinOperator, schema.BuiltinOptions
        code, options, options_type = {
            "convolution": (operator.CONV_2D, schema.Conv2DOptionsT(), known.Conv2DOptions),
            "depthwise": (operator.DEPTHWISE_CONV_2D, schema.DepthwiseConv2DOptionsT(), known.DepthwiseConv2DOptions),
            "linear": (operator.FULLY_CONNECTED, schema.FullyConnectedOptionsT(), known.FullyConnectedOptions),
        }[kind]
        options.fusedActivationFunction = activation if activation is not None else schema.ActivationFunctionType.RELU6
        if kind != "linear":
            options.strideH = options.strideW = stride
            options.padding = schema.Padding.SAME if padding is None else padding
        inputs = [self.tensor("x"), self.constant(f"{kind}/weight", weight), self.constant(f"{kind}/bias", bias)]
        self.operator(code, inputs, self.tensor("y"), options, options_type)

    def write(self, path) -> None:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))


def numbers(*shape: int, kind: type = np.float16) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(kind)


def test_layers_compute_what_tensorflows_would(tmp_path):
    pointwise, each = numbers(4, 1, 1, 3), numbers(1, 3, 3, 4, kind=np.float32)
    matrix, bias = numbers(2, 4), numbers(4)
    model = TinyModel()
    model.layer("convolution", pointwise, bias, stride=2)
    model.layer("depthwise", each, bias.astype(np.float32), activation=schema.ActivationFunctionType.NONE)
    model.layer("linear", matrix, bias[:2], activation=schema.ActivationFunctionType.NONE)
    model.write(tmp_path / "tiny.tflite")
    first, second, third = read_layers(tmp_path / "tiny.tflite")
    assert [layer.kind for layer in (first, second, third)] == ["convolution", "depthwise", "linear"]
    assert [layer.stride for layer in (first, second, third)] == [2, 1, 1]
    assert [layer.relu6 for layer in (first, second, third)] == [True, False, False]
    assert first.name == "convolution/weight"
    # A pixel (channels last) times the pointwise filters, and the middle of a 3 × 3 patch by each channel's own filter.
    pixel, patch = torch.randn(3), torch.randn(3, 3, 4)
    expected = torch.from_numpy(pointwise[:, 0, 0].astype(np.float32)) @ pixel
    torch.testing.assert_close(torch.nn.functional.conv2d(pixel[None, :, None, None], first.weight)[0, :, 0, 0], expected)
    filtered = torch.nn.functional.conv2d(patch.permute(2, 0, 1)[None], second.weight, groups=4)[0, :, 0, 0]
    torch.testing.assert_close(filtered, (patch * torch.from_numpy(each[0])).sum((0, 1)))
    assert np.array_equal(third.weight.numpy(), matrix.astype(np.float32)) and third.bias.dtype == torch.float32


def test_a_layer_with_another_padding_or_activation_is_refused(tmp_path):
    for change in ({"padding": schema.Padding.VALID}, {"activation": schema.ActivationFunctionType.TANH}):
        model = TinyModel()
        model.layer("convolution", numbers(4, 1, 1, 3), numbers(4), **change)
        model.write(tmp_path / "other.tflite")
        with pytest.raises(UserError, match="other.tflite has a layer of a kind that this version does not know"):
            read_layers(tmp_path / "other.tflite")


def test_a_file_that_is_no_model_or_missing_is_named(tmp_path):
    (tmp_path / "text.tflite").write_text("this is no model")
    with pytest.raises(UserError, match=r"text\.tflite is not a TFLite model: fetch it again"):
        read_layers(tmp_path / "text.tflite")
    with pytest.raises(UserError, match=r"cannot read .*none\.tflite: No such file"):
        read_layers(tmp_path / "none.tflite")
