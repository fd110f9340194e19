"""Which engine runs the network: the one that was asked for, or the fastest that passes the parity check on this machine.

`auto` makes every engine that this machine can run, drops those that fail the parity check, and times the rest for about a
second; between exact ones and int8 a rule decides that weighs accuracy (`runtime.engines.selection_rule`). The selection is
cached for this machine, these libraries and these weights: the next start makes only that engine. What was chosen while other
programs kept the machine busy holds for that run alone.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

from runtime.engines.engine import Engine, RefittableEngine
from runtime.engines.machine import gpu, has_bf16, unused_gpu
from runtime.engines.names import EngineKind, EngineName
from runtime.engines.parity import check
from runtime.engines.refused import EngineRefused
from runtime.engines.selection_cache import EngineSelection, clear_selection, load_selection, save_selection
from runtime.engines.selection_rule import choose_engine, required_speedup
from runtime.engines.selection_text import describe_busy, describe_selection
from runtime.engines.timing import Timing, time_engines
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network

log = logging.getLogger(__name__)

ENGINES: tuple[EngineKind, ...] = ("tensorrt", "onnx-int8", "onnx", "torch")
Measure = Callable[[Mapping[EngineKind, Engine]], Timing[EngineKind]]
"""Times engines, as `time_engines` does."""


def select_engine(
    name: EngineName = "auto",
    weights: Path = DEFAULT_WEIGHTS,
    *,
    threads: int | None = None,
    anew: bool = False,
    measure: Measure = time_engines,
) -> RefittableEngine:
    """The engine called `name`; `auto` takes the fastest that this machine runs. `threads`: of a CPU; None takes all.

    `anew`: whatever is remembered. Raises EngineRefused for an engine that cannot run here, UserError for weights that cannot be
    loaded.
    """
    network, manifest = load_network(weights)
    if threads is not None:
        # The locator's too.
        import torch

        torch.set_num_threads(threads)

    def make(name: EngineKind) -> RefittableEngine:
        return make_engine(name, network, manifest, weights, threads=threads)

    if name != "auto":
        return make(name)
    key = EngineSelection.key(manifest, weights, threads)
    return (None if anew else _remembered(make, key)) or _chosen(make, key, weights, threads, measure)


def make_engine(
    name: EngineKind, network: HandNetwork, manifest: Manifest, weights: Path, *, threads: int | None = None
) -> RefittableEngine:
    """The engine called `name` for a network whose weights are, or came from, `weights`; the network stays as it is.

    Raises EngineRefused where it cannot run here.
    """
    if name == "torch":
        return _make_torch(network, manifest, threads)
    if name == "tensorrt":
        from runtime.engines.tensorrt_engine import TensorRTEngine

        return TensorRTEngine(network, manifest)
    from runtime.engines.onnx_engine import OnnxEngine

    if name == "onnx":
        return OnnxEngine(network, manifest, threads=threads)
    from runtime.engines.int8 import load_plan

    return OnnxEngine(network, manifest, plan=load_plan(weights, manifest.architecture), threads=threads)


def _make_torch(network: HandNetwork, manifest: Manifest, threads: int | None) -> RefittableEngine:
    """In float32 or, where this processor multiplies bf16 and that is faster and passes the parity check, in bf16."""
    from runtime.engines.torch_engine import TorchEngine

    exact = TorchEngine(deepcopy(network), manifest, threads=threads)
    if exact.device.type != "cpu" or not has_bf16():
        return exact
    short = TorchEngine(deepcopy(network), manifest, threads=threads, precision="bf16")
    try:
        parity = check(short, "bf16", network, manifest.crop_size, short.description)
    except EngineRefused as error:
        exact.description += f" in fp32 (bf16 refused: {error})"
        return exact
    took = time_engines({"fp32": exact, "bf16": short}).undisturbed_ms(_count(threads))
    speedup = took["fp32"] / max(took["bf16"], 1e-9)
    if speedup >= required_speedup(parity.mean_mm):
        return short
    exact.description += f" in fp32 (bf16, {parity.mean_mm:.1f} mm off, is {speedup:.1f} times as fast)"
    return exact


def _remembered(make: Callable[[EngineKind], RefittableEngine], key: str) -> RefittableEngine | None:
    """The engine of an earlier run; None where there is none, or it can no longer be had."""
    cached = load_selection(key)
    if cached is None:
        return None
    try:
        engine = make(cached.engine)
    except EngineRefused as error:
        # A library went, or the weights' plan: judge anew.
        log.info(f"the engine {cached.engine}, remembered since {cached.date}, is chosen anew: {error}")
        clear_selection(key)
        return None
    return _described(engine, f"auto: {describe_selection(cached)}, remembered since {cached.date}")


def _chosen(
    make: Callable[[EngineKind], RefittableEngine], key: str, weights: Path, threads: int | None, measure: Measure
) -> RefittableEngine:
    """The engine to take by the times of all that can be had; remembered unless the machine is busy."""
    unused = unused_gpu()
    if unused:
        log.warning(f"{unused}: engines run on the CPU; install the torch that fits the driver")
    made: dict[EngineKind, RefittableEngine] = {}
    refused: dict[EngineKind, EngineRefused] = {}
    for name in ENGINES:
        try:
            made[name] = make(name)
        except EngineRefused as error:
            refused[name] = error
            # Without a GPU nobody expects TensorRT.
            if error.parity is None and (name != "tensorrt" or gpu()):
                log.info(f"engine {name} is not available: {error}")
    if not made:
        raise refused["torch"]
    timing = measure(made)
    took = dict(timing.undisturbed_ms(_count(threads)))
    int8_mm = _off_mm(made["onnx-int8"]) if "onnx-int8" in made else None
    selection = EngineSelection(
        engine=choose_engine(took, int8_mm or 0.0).engine,
        ms=took,
        int8_mm=int8_mm,
        refused={name: str(error) for name, error in refused.items() if error.parity is not None},
        chosen_s=time.time(),
        weights=weights.name,
        threads=threads,
    )
    why = f"auto: {describe_selection(selection)}"
    if timing.busy:
        why = f"{why}; {describe_busy(timing)}"
    else:
        save_selection(key, selection)
    return _described(made[selection.engine], why)


def _off_mm(engine: RefittableEngine) -> float:
    """How far an engine's joints are from torch's on average, by its parity check."""
    from runtime.engines.onnx_engine import OnnxEngine

    return engine.parity.mean_mm if isinstance(engine, OnnxEngine) and engine.parity else 0.0


def _count(threads: int | None) -> int:
    return threads or os.cpu_count() or 1


def _described(engine: RefittableEngine, why: str) -> RefittableEngine:
    engine.description = f"{engine.description} ({why})"  # pyright: ignore[reportAttributeAccessIssue]
    return engine
