"""What is said of an engine selection: the times, why int8 is not taken, what was refused, that the machine was busy."""

from runtime.engines.names import EngineKind
from runtime.engines.selection_cache import EngineSelection
from runtime.engines.selection_rule import FAST_ENOUGH_MS, choose_engine
from runtime.engines.timing import Timing


def describe_selection(selection: EngineSelection) -> str:
    """The times of all engines, fastest first, and what spoke against others."""
    times = sorted(selection.ms.items(), key=lambda item: item[1])
    parts = [", ".join(f"{name} {ms:.1f} ms a pair" for name, ms in times)]
    choice = choose_engine(selection.ms, selection.int8_mm or 0.0)
    off = f"onnx-int8, {selection.int8_mm or 0:.1f} mm off"
    if choice.int8_speedup is not None and selection.engine == "onnx-int8":
        parts.append(f"{off}, is {choice.int8_speedup:.1f} times as fast as the fastest exact one")
    elif choice.int8_speedup is not None and choice.int8_speedup > 1:
        if selection.ms[selection.engine] <= FAST_ENOUGH_MS:
            parts.append(f"{off}, is not needed")
        else:
            parts.append(f"{off}, would have to be {choice.required:.1f} times as fast, and is {choice.int8_speedup:.1f} times")
    parts += [f"{name} refused: {why}" for name, why in selection.refused.items()]
    return "; ".join(parts)


def describe_busy(timing: Timing[EngineKind]) -> str:
    """That a selection is not remembered, and why."""
    load = timing.load
    if load.busy:
        what = f"other programs used {load.others:.1f} of {load.cores} cores"
    else:
        what = f"the median run took {timing.spread:.1f} times as long as the quickest"
    return f"measured while this machine was busy ({what}): not remembered"
