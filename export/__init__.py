"""Engines from weights: ONNX files, int8 calibration, TensorRT, the parity check."""
