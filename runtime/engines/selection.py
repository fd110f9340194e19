"""Which engine runs the network: the one that was asked for, or the fastest that passes the parity check on this machine.

`auto` makes every engine that this machine can run, drops those that fail the parity check, and times the rest for about a
second. Int8 costs a millimetre, so it is taken only where no exact engine is fast enough for a stream. The selection is cached
for this machine, these libraries and these weights: the next start makes only that engine.
"""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

import numpy as np

from runtime.engines.engine import Engine, RefittableEngine
from runtime.engines.machine import has_bf16
from runtime.engines.names import EngineKind, EngineName
from runtime.engines.parity import check
from runtime.engines.refused import EngineRefused
from runtime.engines.selection_cache import EngineSelection, clear_selection, load_selection, save_selection
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network

ENGINES: tuple[EngineKind, ...] = ("tensorrt", "onnx-int8", "onnx", "torch")
TIMED_S = 0.2
"""Time that each engine is timed for, in turns with the others."""
FAST_ENOUGH_MS = 10.0
"""A pair at 30 Hz has 33 ms, of which the network is to leave the most to cameras, geometry and viewer."""
_PAIR = 2
"""Crops of a pair."""


def select_engine(name: EngineName = "auto", weights: Path = DEFAULT_WEIGHTS, *, threads: int | None = None) -> RefittableEngine:
    """The engine called `name`; `auto` takes the fastest that this machine runs. `threads`: of a CPU; None takes all.

    Raises EngineRefused for an engine that cannot run here, UserError for weights that cannot be loaded.
    """
    network, manifest = load_network(weights)
    if threads is not None:
        # The locator's too.
        import torch

        torch.set_num_threads(threads)

    def make(name: EngineKind) -> RefittableEngine:
        return make_engine(name, network, manifest, weights, threads=threads)

    return _automatic(make, EngineSelection.key(manifest, weights, threads)) if name == "auto" else make(name)


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
        check(short, "bf16", network, manifest.crop_size, short.description)
    except EngineRefused:
        return exact
    took = time_engines({"fp32": exact, "bf16": short})
    return short if took["bf16"] < took["fp32"] else exact


Name = TypeVar("Name", bound=str)


def time_engines(
    engines: Mapping[Name, Engine], seconds: float = TIMED_S, clock: Callable[[], float] = time.perf_counter
) -> dict[Name, float]:
    """Milliseconds that each takes for a pair: medians of runs in turns, so that a busy moment hits all alike."""
    spent: dict[Name, list[float]] = {name: [] for name in engines}
    size = next(iter(engines.values())).manifest.crop_size
    images = np.random.default_rng(0).integers(0, 256, (_PAIR, size, size, 3), np.uint8)
    for engine in engines.values():
        engine(images)
    until = clock() + seconds * len(engines)
    while clock() < until or min(map(len, spent.values())) < 3:
        for name, engine in engines.items():
            started = clock()
            engine(images)
            spent[name].append((clock() - started) * 1e3)
    return {name: float(np.median(times)) for name, times in spent.items()}


def _automatic(make: Callable[[EngineKind], RefittableEngine], key: str) -> RefittableEngine:
    cached = load_selection(key)
    if cached is not None:
        try:
            engine = make(cached.engine)
        except EngineRefused:
            # A library went, or the weights' plan: judge anew.
            clear_selection(key)
        else:
            return _described(engine, f"auto: {cached.why}, remembered")
    made: dict[EngineKind, RefittableEngine] = {}
    refused: dict[EngineKind, EngineRefused] = {}
    for name in ENGINES:
        try:
            made[name] = make(name)
        except EngineRefused as error:
            refused[name] = error
    if not made:
        raise refused["torch"]
    took = time_engines(made)
    exact: dict[EngineKind, float] = {name: ms for name, ms in took.items() if name != "onnx-int8" and ms <= FAST_ENOUGH_MS}
    best, _ = min((exact or took).items(), key=lambda item: item[1])
    why = ", ".join(f"{name} {ms:.1f} ms a pair" for name, ms in sorted(took.items(), key=lambda item: item[1]))
    out = [f"{name} refused: {error}" for name, error in refused.items() if error.parity is not None]
    save_selection(key, EngineSelection(engine=best, why=why))
    return _described(made[best], "; ".join([f"auto: {why}", *out]))


def _described(engine: RefittableEngine, why: str) -> RefittableEngine:
    engine.description = f"{engine.description} ({why})"  # pyright: ignore[reportAttributeAccessIssue]
    return engine
