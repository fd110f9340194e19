"""The networks, their files and their ONNX graphs."""
