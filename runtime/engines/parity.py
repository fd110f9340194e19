"""Whether an engine predicts what the network predicts in torch: the parity check of every engine that is made or refitted.

On a stored probe of synthetic hands; beyond its precision's limits an engine is refused, with the figures.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch

from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.engines.engine import Precision, Predictions
from runtime.engines.refused import EngineRefused
from runtime.networks.network import HandNetwork, fuse_batch_norms
from runtime.networks.weights import ASSETS

PROBE = ASSETS / "probe.png"
"""Synthetic hands in rows of crops; `python -m export.probe` renders it."""
PROBE_PX = 96
"""Side of a crop of it."""
_BATCH = 4
"""Crops a batch: few, so that a check during a stream does not delay it."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far an engine's predictions are from torch's, over all joints of the probe; NaN where one is not finite.

    Presence, handedness and errors of pixels, where the network tells them, count as confidences.
    """

    largest_mm: float
    mean_mm: float
    largest_px: float
    mean_px: float
    largest_confidence: float
    mean_confidence: float

    def __str__(self) -> str:
        return (
            f"joints {self.mean_mm:.3f} mm (largest {self.largest_mm:.2f}), pixels {self.mean_px:.3f} ({self.largest_px:.2f}), "
            f"confidence {self.mean_confidence:.4f} ({self.largest_confidence:.3f})"
        )


UNLIMITED = float("inf")
LIMITS: dict[Precision, Parity] = {
    "fp32": Parity(0.05, 0.05, 0.05, 0.05, 0.001, 0.001),
    "fp16": Parity(UNLIMITED, 0.5, UNLIMITED, 1.0, UNLIMITED, 0.02),
    "bf16": Parity(UNLIMITED, 0.5, UNLIMITED, 1.0, UNLIMITED, 0.02),
    "int8": Parity(UNLIMITED, 1.5, UNLIMITED, 1.0, UNLIMITED, 0.03),
}
"""Largest differences. With fewer bits the mean counts: where two cells of a heat map are nearly equal, a joint jumps."""


@cache
def probe(size: int) -> np.ndarray:
    """(N, size, size, 3) uint8 RGB. Raises EngineRefused where the stored picture is not there."""
    sheet = cv2.imread(str(PROBE), cv2.IMREAD_COLOR_RGB)
    if sheet is None:
        raise EngineRefused(f"{PROBE} cannot be read: fetch it again, or draw it with python -m export.probe")
    rows, columns = sheet.shape[0] // PROBE_PX, sheet.shape[1] // PROBE_PX
    crops = sheet.reshape(rows, PROBE_PX, columns, PROBE_PX, 3).swapaxes(1, 2).reshape(-1, PROBE_PX, PROBE_PX, 3)
    how = cv2.INTER_AREA if size < PROBE_PX else cv2.INTER_LINEAR
    return np.stack([cv2.resize(crop, (size, size), interpolation=how) for crop in crops])


def reference_predictions(network: HandNetwork, images: np.ndarray) -> Predictions:
    """Predictions of the network in torch, float32, on the CPU; it stays as it is."""
    folded = fuse_batch_norms(deepcopy(network).cpu().float())

    def run(part: np.ndarray) -> Predictions:
        with torch.inference_mode():
            hands = folded(torch.from_numpy(part))
        return Predictions.of({name: value.numpy() for name, value in hands._asdict().items()})

    return predict_in_batches(run, images)


def predict_in_batches(engine: Callable[[np.ndarray], Predictions], images: np.ndarray) -> Predictions:
    """An engine's predictions for many crops, a few at a time."""
    parts = [engine(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    told = [name for name in Predictions.__slots__ if getattr(parts[0], name) is not None]
    return Predictions.of({name: np.concatenate([getattr(part, name) for part in parts]) for name in told})


def compare(predicted: Predictions, expected: Predictions) -> Parity:
    """How far two predictions for the same crops are apart."""
    mm = np.linalg.norm(predicted.joints - expected.joints, axis=-1) * DEFAULT_HAND_SIZE_MM
    px = np.linalg.norm(predicted.pixels - expected.pixels, axis=-1)
    confidence = np.abs(_confidences(predicted) - _confidences(expected))
    return Parity(*(float(figure) for off in (mm, px, confidence) for figure in (off.max(), off.mean())))


def _confidences(predictions: Predictions) -> np.ndarray:
    """(N, 21 or more) confidences, and what else is of their size."""
    more = (predictions.presence, predictions.right, predictions.pixel_sigma)
    told = [values for values in more if values is not None]
    return np.column_stack([predictions.confidence, *told])


def exceeded_limits(parity: Parity, precision: Precision) -> list[str]:
    """The figures that are not within the limits, in words; NaN never is."""
    limit = LIMITS[precision]
    figures = ((name, getattr(parity, name), getattr(limit, name)) for name in Parity.__slots__)
    return [f"{name.replace('_', ' ')} {value:.3g}, at most {most:g}" for name, value, most in figures if not value <= most]


def check(
    engine: Callable[[np.ndarray], Predictions],
    precision: Precision,
    network: HandNetwork,
    size: int,
    name: str,
) -> Parity:
    """How far `engine`, called `name` in sentences, is from `network` on crops of `size`. Raises EngineRefused."""
    images = probe(size)
    parity = compare(predict_in_batches(engine, images), reference_predictions(network, images))
    broken = exceeded_limits(parity, precision)
    if broken:
        raise EngineRefused(
            f"{name} fails the parity check against torch ({'; '.join(broken)}; the limits of {precision}): use another --engine",
            parity,
        )
    return parity
