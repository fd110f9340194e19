"""Calibrate a network for eight bits: `python -m export.int8 [--weights W] [--crops FOLDER]`.

Writes the plan beside the weights, where `--engine onnx-int8` finds it, and the model as one self-contained ONNX file. Ranges are
those that drawn hands, and recorded crops if some are given, give rise to. Every convolution is then quantised alone; those that
move the joints most stay in float, the worst first, until all the others together move them little.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
from tqdm import tqdm

from export.crops import SYNTHETIC_SEED, recorded_crops, synthetic_crops
from export.onnx import file_engine
from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from runtime.engines.engine import Predictions
from runtime.engines.int8 import Plan, convolutions, measure_ranges, plan_file, quantize, save_plan
from runtime.engines.onnx_engine import run_session
from runtime.engines.parity import check, compare, predict_in_batches
from runtime.networks.graph import fill_weights, graph_of, weights_of, write, write_metadata
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network

WEIGHT_BITS = 7
"""Convolutions are judged as the machines run them that have no VNNI: with eight bits all do better."""


@dataclass
class Settings:
    """Calibrate a network for eight bits and export it."""

    weights: Path = DEFAULT_WEIGHTS
    to: Path | None = None
    """The ONNX file; none: `out/`, named like the weights."""
    plan: Path | None = None
    """The plan's file; none: beside the weights."""
    crops: Path | None = None
    """Recorded crops to calibrate on too: a folder of square pictures of hands, or an .npy file (N, S, S, 3) uint8 RGB."""
    drawn: int = 384
    """Drawn hands to calibrate on."""
    judged: int = 128
    """Further drawn hands that convolutions are judged on."""
    target_mm: float = 1.4
    """Joints may move by so much on average."""
    overwrite: bool = False
    """Replace files that are there already."""


def find_plan(
    model: onnx.ModelProto, manifest: Manifest, crops: np.ndarray, judged: np.ndarray, target_mm: float, calibrated_on: str
) -> Plan:
    """The plan of a whole float model: ranges from `crops`, joint error measured on `judged`, both (N, S, S, 3) uint8.

    Raises UserError where even the head alone in eight bits moves joints too far.
    """
    plan = Plan(
        architecture=manifest.architecture,
        calibrated_on=calibrated_on,
        float_convolutions=(),
        ranges=measure_ranges(model, crops),
    )
    expected = _predictions(model, judged)

    def moved_mm(plan: Plan, alone: str | None = None) -> float:
        return compare(_predictions(quantize(model, plan, WEIGHT_BITS, alone), judged), expected).mean_mm

    names = convolutions(model)
    moved_alone_mm = {name: moved_mm(plan, name) for name in tqdm(names, desc="convolutions alone in int8")}
    for name in sorted(names, key=lambda name: -moved_alone_mm[name]):
        moved = moved_mm(plan)
        print(f"{len(plan.float_convolutions):3} convolutions in float: joints move by {moved:.2f} mm")
        if moved <= target_mm:
            return plan
        print(f"    {name}, which alone moves them by {moved_alone_mm[name]:.2f} mm, stays in float")
        plan = msgspec.structs.replace(plan, float_convolutions=(*plan.float_convolutions, name))
    raise UserError(f"no convolution of this {manifest.architecture} can be int8 within {target_mm} mm: use another --engine")


def _predictions(model: onnx.ModelProto, crops: np.ndarray) -> Predictions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return predict_in_batches(lambda part: run_session(session, part), crops)


def main(settings: Settings) -> None:
    to = settings.to or Path("out") / f"{settings.weights.stem}-int8.onnx"
    plan_to = settings.plan or plan_file(settings.weights)
    files = ProgramFiles(overwrite=settings.overwrite).reads("--weights", *with_manifest(settings.weights))
    files.reads("--crops", settings.crops).writes("--to", to, plain=True).writes("--plan", plan_to).check()
    network, manifest = load_network(settings.weights)
    size = manifest.crop_size
    drawn = synthetic_crops(size, settings.drawn + settings.judged, SYNTHETIC_SEED)
    crops, judged, calibrated_on = drawn[: settings.drawn], drawn[settings.drawn :], f"{settings.drawn} drawn hands"
    if settings.crops:
        recorded = recorded_crops(settings.crops, size)
        crops, calibrated_on = np.concatenate([crops, recorded]), f"{calibrated_on} and {len(recorded)} recorded crops"
    weights = weights_of(network)
    model = fill_weights(graph_of(manifest, weights), weights, manifest)
    plan = find_plan(model, manifest, crops, judged, settings.target_mm, calibrated_on)
    save_plan(plan, plan_to)
    small = quantize(model, plan)
    write_metadata(small, manifest, weights, int8_plan=msgspec.json.encode(plan).decode())
    write(small, to)
    print(f"{plan_to}: {len(plan.float_convolutions)} of {len(convolutions(model))} convolutions in float")
    print(f"{to}: {to.stat().st_size / 1e6:.1f} MB")
    print(f"against torch: {check(file_engine(to), 'int8', network, size, str(to))}")


if __name__ == "__main__":
    program.run(main, Settings)
