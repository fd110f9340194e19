"""What runs a network: torch, ONNX Runtime, int8, TensorRT; the parity check and the selection."""
