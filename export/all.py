"""Make everything from a network's weights that this machine can: `python -m export.all [--weights W]`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from export import int8, onnx, tensorrt
from hand import program
from hand.errors import UserError
from runtime.engines.refused import EngineRefused
from runtime.networks.weights import DEFAULT_WEIGHTS


@dataclass
class Settings:
    """Make everything from a network's weights that this machine can."""

    weights: Path = DEFAULT_WEIGHTS
    crops: Path | None = None
    """Recorded crops to calibrate int8 on too, as in `export.int8`."""
    overwrite: bool = False
    """Replace files that are there already."""


def main(settings: Settings) -> int:
    """Make one after the other; returns the exit code of `make`."""
    steps: dict[str, Callable[[], object]] = {
        "onnx": lambda: onnx.main(onnx.Settings(weights=settings.weights, overwrite=settings.overwrite)),
        "int8": lambda: int8.main(int8.Settings(weights=settings.weights, crops=settings.crops, overwrite=settings.overwrite)),
        "tensorrt": lambda: tensorrt.main(tensorrt.Settings(weights=settings.weights)),
    }
    return make(steps)


def make(steps: Mapping[str, Callable[[], object]]) -> int:
    """Do all steps, and print why one cannot be done.

    Returns the exit code: 0 where something was made, 1 where something was made wrong (its parity check failed), 2 where nothing
    was made.
    """
    made = wrong = 0
    for name, step in steps.items():
        try:
            step()
            made += 1
        except UserError as error:
            print(f"{name}: {error}")
            wrong += isinstance(error, EngineRefused) and error.parity is not None
    return 1 if wrong else 0 if made else 2


if __name__ == "__main__":
    program.run(main, Settings)
