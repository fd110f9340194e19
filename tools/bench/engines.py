"""How fast and how accurate every engine is, for each network: `python -m tools.bench engines`.

Without weights of DetNet it is timed with random ones: its time does not depend on them, but the parity of int8 does and means
nothing for random weights.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from hand.errors import UserError
from runtime.engines.engine import RefittableEngine
from runtime.engines.int8 import Plan, load_plan, measure_ranges, quantize
from runtime.engines.names import EngineKind
from runtime.engines.parity import compare, predict_in_batches, probe, reference_predictions
from runtime.engines.refused import EngineRefused
from runtime.engines.selection import ENGINES, make_engine
from runtime.engines.timing import time_engines
from runtime.networks.graph import fill_weights, graph_of, weights_of
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, build_network, load_network

TIMED_S = {"detnet-lite": 1.0, "detnet": 6.0}
"""Seconds that each engine of a network is timed for, in turns with the others."""
_PROBE = {"detnet-lite": 20, "detnet": 4}
"""Crops that parity is measured on."""


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """Figures of one engine of one network."""

    network: str
    engine: str
    threads: int
    ms_a_pair: float
    pairs_per_s: float
    parity_mm: float
    largest_mm: float
    megabytes: float
    """Size of its weights in a file."""
    swap_s: float
    """Time to build it for other weights in the background."""


def bench_engines(detnet: Path | None = None, threads: int | None = None) -> list[EngineFigures]:
    """Every engine that this machine has, of both networks; `detnet`: a checkpoint of it. Prints refused engines with reasons."""
    threads = threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    found: list[EngineFigures] = []
    for weights in (DEFAULT_WEIGHTS, detnet):
        network, manifest = load_network(weights) if weights else random_detnet()
        made = _made(network, manifest, weights, threads)
        took = time_engines(made, TIMED_S[manifest.architecture]).wall_ms
        images = probe(manifest.crop_size)[: _PROBE[manifest.architecture]]
        expected = reference_predictions(network, images)
        for name, engine in tqdm(made.items(), desc=f"{manifest.architecture}: parity and swaps", unit=" engines"):
            parity = compare(predict_in_batches(engine, images), expected)
            swap_s = _seconds(lambda engine=engine, network=network, manifest=manifest: engine.refitted(network, manifest))
            found.append(
                EngineFigures(
                    manifest.architecture + ("" if weights else ", random"),
                    name,
                    threads,
                    took[name],
                    1e3 / took[name],
                    parity.mean_mm,
                    parity.largest_mm,
                    _megabytes(name, network, manifest, weights),
                    swap_s,
                )
            )
    return found


def show(detnet: Path | None) -> list[dict[str, Any]]:
    """Measure and print the table; returns its figures for a file."""
    figures = bench_engines(detnet)
    print(engines_table(figures))
    return [asdict(one) for one in figures]


def engines_table(figures: list[EngineFigures]) -> str:
    """The figures as text."""
    head = f"{'network':20}{'engine':12}{'ms a pair':>10}{'pairs/s':>9}{'mm':>8}{'largest':>9}{'MB':>7}{'swap s':>8}"
    lines = [f"two crops a pair, {figures[0].threads} threads", head]
    lines += [
        f"{one.network:20}{one.engine:12}{one.ms_a_pair:10.2f}{one.pairs_per_s:9.1f}{one.parity_mm:8.3f}{one.largest_mm:9.2f}"
        f"{one.megabytes:7.1f}{one.swap_s:8.2f}"
        for one in figures
    ]
    return "\n".join(lines)


def random_detnet() -> tuple[HandNetwork, Manifest]:
    """Untrained DetNet; its batch-norms are neither ones nor zeros, as in a trained one."""
    manifest = Manifest(architecture="detnet", root=0, crop_size=128, map_size=32, axes="frame", training_data="none")
    torch.manual_seed(0)
    network = build_network(manifest)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.1, 0.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    return network.eval(), manifest


def _made(network: HandNetwork, manifest: Manifest, weights: Path | None, threads: int) -> dict[str, RefittableEngine]:
    made: dict[str, RefittableEngine] = {}
    for name in ENGINES:
        try:
            if name == "onnx-int8" and weights is None:
                made[name] = _rough_int8(network, manifest, threads)
            else:
                made[name] = make_engine(name, network, manifest, weights or DEFAULT_WEIGHTS, threads=threads)
        except EngineRefused as error:
            print(f"{manifest.architecture}, {name}: {error}", file=sys.stderr)
    return made


def _rough_int8(network: HandNetwork, manifest: Manifest, threads: int) -> RefittableEngine:
    """Int8 for timing only, all convolutions but the last in eight bits: random weights cannot be calibrated."""
    from runtime.engines.onnx_engine import OnnxEngine

    return OnnxEngine(network, manifest, plan=_rough_plan(network, manifest), threads=threads, checked=False)


def _rough_plan(network: HandNetwork, manifest: Manifest) -> Plan:
    weights = weights_of(network)
    model = fill_weights(graph_of(manifest, weights), weights, manifest)
    return Plan(
        architecture=manifest.architecture,
        calibrated_on="the probe, for timing alone",
        float_convolutions=("hmap_0.prediction", "dmap_0.prediction", "lmap_0.prediction"),
        ranges=measure_ranges(model, probe(manifest.crop_size)[:2]),
    )


def _megabytes(name: EngineKind | str, network: HandNetwork, manifest: Manifest, path: Path | None) -> float:
    weights = weights_of(network)
    if name != "onnx-int8":
        return sum(value.nbytes for value in weights.values()) / 1e6
    plan = load_plan(path, manifest.architecture) if path else _rough_plan(network, manifest)
    return quantize(fill_weights(graph_of(manifest, weights), weights, manifest), plan).ByteSize() / 1e6


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    try:
        work()
    except UserError:
        return float("nan")
    return time.perf_counter() - started
