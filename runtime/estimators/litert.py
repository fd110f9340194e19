"""Runs a TFLite model by LiteRT: one picture in, its outputs out."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hand.errors import UserError


def require_litert() -> None:
    """Raises UserError where LiteRT is not installed."""
    if find_spec("ai_edge_litert") is None:
        raise _not_installed()


class Model:
    """One model of one input, pictures in [0, 1]. Not to be called by two threads at once; several models may run at once."""

    def __init__(self, path: Path, *, threads: int = 1):
        """Raises UserError where LiteRT is not installed or does not take the file."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise _not_installed() from error
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{path} is no model that LiteRT runs ({error}): fetch it again with python -m tools.get_mediapipe"
            ) from error
        (self._input,) = (detail["index"] for detail in self._interpreter.get_input_details())
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        """The model's outputs, float32, for an image (H, W, 3) uint8 RGB."""
        self._interpreter.set_tensor(self._input, np.multiply(image, np.float32(1 / 255), dtype=np.float32)[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def _not_installed() -> UserError:
    return UserError(
        "LiteRT, which runs MediaPipe's models, is not installed: pip install ai-edge-litert, or use --estimator detnet"
    )
