"""Which engines a user may ask for."""

from typing import Literal

EngineKind = Literal["torch", "onnx", "onnx-int8", "tensorrt"]
EngineName = Literal["auto", "torch", "onnx", "onnx-int8", "tensorrt"]
"""`auto` is the fastest of them that passes the parity check on this machine."""
