"""How far engines are from torch: `python -m export.parity [ENGINE ...] [--weights W]`, or `--file FILE` for our ONNX file.

The check is the one that every engine passes when it is loaded (`runtime.engines.parity`); this shows its figures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import tyro

from export.onnx import file_engine
from hand import program
from runtime.engines.engine import Precision
from runtime.engines.names import EngineKind
from runtime.engines.parity import compare, exceeded_limits, predict_in_batches, probe, reference_predictions
from runtime.engines.refused import EngineRefused
from runtime.engines.selection import make_engine
from runtime.networks.weights import DEFAULT_WEIGHTS, load_network


@dataclass
class Settings:
    """Compare engines with the network in torch, float32."""

    engines: tyro.conf.Positional[tuple[EngineKind, ...]] = get_args(EngineKind)
    weights: Path = DEFAULT_WEIGHTS
    file: Path | None = None
    """An ONNX file, in place of engines."""
    precision: Precision = "fp32"
    """Whose limits hold for the file."""


def main(settings: Settings) -> int:
    network, manifest = load_network(settings.weights)
    images = probe(manifest.crop_size)
    expected = reference_predictions(network, images)
    failed = 0
    if settings.file:
        parity = compare(predict_in_batches(file_engine(settings.file), images), expected)
        broken = exceeded_limits(parity, settings.precision)
        print(f"{settings.file}: {parity}{'; refused: ' + ', '.join(broken) if broken else ''}")
        return 1 if broken else 0
    for name in settings.engines:
        try:
            engine = make_engine(name, network, manifest, settings.weights)
        except EngineRefused as error:
            print(f"{name}: {error}")
            failed += error.parity is not None
        else:
            print(f"{name}: {compare(predict_in_batches(engine, images), expected)}")
    return 1 if failed else 0


if __name__ == "__main__":
    program.run(main, Settings)
