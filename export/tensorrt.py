"""Build a network for TensorRT on this machine's GPU: `python -m export.tensorrt [--weights W] [--precision fp16 fp32]`.

The engine goes to the user's cache, where `--engine tensorrt` finds it; without this command it is built at its first use. It
also prints the line for NVIDIA's own `trtexec`, which builds from what `python -m export.onnx` writes.
"""

from dataclasses import dataclass
from pathlib import Path

from hand import program
from runtime.engines.tensorrt_engine import TensorRTEngine, TensorRTPrecision, input_shapes, tensorrt_library
from runtime.networks.graph import INPUT
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network


@dataclass
class Settings:
    """Build a network for TensorRT on this machine's GPU."""

    weights: Path = DEFAULT_WEIGHTS
    precision: tuple[TensorRTPrecision, ...] = ("fp16", "fp32")


def trtexec_line(onnx_file: Path, size: int) -> str:
    """The command that builds an engine from our ONNX file, for NVIDIA's own tools."""
    shapes = {name.removesuffix("_shape"): "x".join(map(str, shape)) for name, shape in input_shapes(size).items()}
    batches = " ".join(f"--{name}Shapes={INPUT}:{shape}" for name, shape in shapes.items())
    return f"trtexec --onnx={onnx_file} --saveEngine={onnx_file.with_suffix('.engine')} --fp16 {batches}"


def main(settings: Settings) -> None:
    network, manifest = load_network(settings.weights)
    onnx_file = Path("out") / f"{settings.weights.stem}.onnx"
    print(f"by NVIDIA's own tools, after python -m export.onnx:\n    {trtexec_line(onnx_file, manifest.crop_size)}")
    tensorrt_library()
    for precision in settings.precision:
        engine = TensorRTEngine(network, manifest, precision=precision)
        print(f"{engine.description}: built and kept")


if __name__ == "__main__":
    program.run(main, Settings)
