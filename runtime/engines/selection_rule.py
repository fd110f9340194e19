"""Which of the engines that passed the parity check is taken: the rule between exact ones and eight bits."""

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.engines.names import EngineKind

FAST_ENOUGH_MS = 10.0
"""A pair at 30 Hz has 33 ms, of which the network is to leave the most to cameras, geometry and viewer."""
MIN_SPEEDUP = 1.5
"""An engine of fewer bits must be so many times as fast, however accurate it is."""
SPEEDUP_PER_MM = 0.7
"""What each millimetre of its difference from torch asks for on top of equal speed."""


def required_speedup(mean_mm: float) -> float:
    """How many times as fast an engine must be whose joints are `mean_mm` off those of an exact one."""
    return max(MIN_SPEEDUP, 1 + SPEEDUP_PER_MM * mean_mm)


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """The engine to take, and how it compares."""

    engine: EngineKind
    int8_speedup: float | None
    """How many times as fast int8 is as the fastest exact engine; None where there are not both."""
    required: float | None
    """How many times as fast it would have to be."""


def choose_engine(ms: Mapping[EngineKind, float], int8_mm: float) -> EngineChoice:
    """By the time of each for a pair, and by int8's mean difference from torch (mm).

    Int8 is taken where the fastest exact engine is too slow for a stream and int8 is as much faster as its error asks for.
    """
    exact: dict[EngineKind, float] = {name: time_ms for name, time_ms in ms.items() if name != "onnx-int8"}
    if not exact:
        return EngineChoice("onnx-int8", None, None)
    best = min(exact, key=lambda name: exact[name])
    if "onnx-int8" not in ms:
        return EngineChoice(best, None, None)
    speedup, required = exact[best] / max(ms["onnx-int8"], 1e-9), required_speedup(int8_mm)
    int8 = exact[best] > FAST_ENOUGH_MS and speedup >= required
    return EngineChoice("onnx-int8" if int8 else best, speedup, required)
