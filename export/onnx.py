"""Write a network as one self-contained ONNX file: `python -m export.onnx [--weights W] [--to FILE]`.

uint8 crops (N, S, S, 3) in; joints, pixels, confidence and heat maps out, for any N. The file's metadata hold the weights'
manifest and the hash of its numbers. It runs wherever ONNX does; the program itself needs no such file: it fills its graphs
with weights as it starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from runtime.engines.engine import Predictions
from runtime.engines.parity import check
from runtime.networks.graph import INPUT, OPSET, fill_weights, graph_of, weights_of, weights_sha256, write
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network


@dataclass
class Settings:
    """Write a network as one self-contained ONNX file."""

    weights: Path = DEFAULT_WEIGHTS
    to: Path | None = None
    """The file; none: `out/`, named like the weights."""
    overwrite: bool = False
    """Replace files that are there already."""


def file_engine(path: Path) -> Callable[[np.ndarray], Predictions]:
    """Runs one of our files in ONNX Runtime on the CPU. Raises UserError where the file cannot be loaded."""
    import onnxruntime

    from runtime.engines.onnx_engine import run_session

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's errors share no type.
        raise UserError(f"{path} cannot be run by ONNX Runtime: {str(error).splitlines()[0]}; export it again") from error

    def run(images: np.ndarray) -> Predictions:
        return run_session(session, images)

    return run


def main(settings: Settings) -> None:
    to = settings.to or Path("out") / f"{settings.weights.stem}.onnx"
    files = ProgramFiles(overwrite=settings.overwrite).reads("--weights", *with_manifest(settings.weights))
    files.writes("--to", to, plain=True).check()
    network, manifest = load_network(settings.weights)
    weights = weights_of(network)
    write(fill_weights(graph_of(manifest, weights), weights, manifest), to)
    size = manifest.crop_size
    print(f"{to}: {to.stat().st_size / 1e6:.1f} MB, opset {OPSET}, weights {weights_sha256(weights)[:12]}…")
    print(f"{INPUT} (N, {size}, {size}, 3) uint8 RGB -> {', '.join(network.network.outputs)}")
    print(f"against torch: {check(file_engine(to), 'fp32', network, size, str(to))}")


if __name__ == "__main__":
    program.run(main, Settings)
