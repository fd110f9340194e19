"""Which trunk DetNet-lite should have: `python -m tools.train.trunks runs/trunks --bank data/hands data/hands96`.

Each trunk is trained from random weights on the same pictures, in the same order, for each crop size, and timed on one thread.
The result is a table and a plot of error against time; runs that exist already are not repeated.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec
import numpy as np
import torch
import tyro

from hand import program
from hand.outputs import ProgramFiles
from runtime.engines.torch_engine import TorchEngine
from runtime.networks.weights import load_network
from tools.report.figures import new_figure, save_figure
from tools.train import network as training
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.bank import HandBank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Trunk = Literal["narrow", "shallow", "shipped", "fine", "deep", "wide"]
TRUNKS: Mapping[Trunk, dict[str, int]] = {
    "narrow": {"width": 33, "deep": 144},
    "shallow": {"middle_blocks": 1, "deep_blocks": 1},
    "shipped": {},
    "fine": {"fine_blocks": 2},
    "deep": {"deep_blocks": 4},
    "wide": {"width": 63, "deep": 320},
}
"""Name → options of DetNetLite. Widths are divisible by three."""


@dataclass
class Settings:
    """Compare trunks of DetNet-lite."""

    run: tyro.conf.Positional[Path]
    """Folder of the comparison: one training run a trunk and crop size, results.jsonl, trunks.png."""
    bank: tuple[Path, ...] = (Path("data/hands"),)
    """Banks of hands, one for each size of crop (tools.train.bank --crop-size)."""
    trunks: tuple[Trunk, ...] = get_args(Trunk)
    """Which to train where they are not yet; the plot shows all that are."""
    pictures: int = 9600
    """Pictures that each trunk is trained on."""
    validate: int = 512
    """Held-out hands that each trunk is validated on."""
    rounds: int = 40
    """Runs that each trunk is timed over; the median counts."""
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds; 'None' for procedural backgrounds alone."""
    seed: int = 0


class Result(msgspec.Struct, frozen=True):
    """One trunk at one size of crop."""

    trunk: str
    crop_size: int
    parameters: int
    ms: float
    """Both views' crops, one thread."""
    error_mm: float
    """Held-out hands, mean."""
    error_px: float
    """Of 128 px a crop, mean."""
    pictures: int


def time_ms(weights: Path, rounds: int) -> tuple[float, int]:
    """Median time of two crops through the network, and its parameters."""
    network, manifest = load_network(weights)
    parameters = sum(value.numel() for value in network.parameters())
    engine = TorchEngine(network, manifest, threads=1)
    images = np.random.default_rng(0).integers(0, 256, (2, manifest.crop_size, manifest.crop_size, 3), np.uint8)
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        engine(images)
        spent.append((time.perf_counter() - started) * 1e3)
    return float(np.median(spent)), parameters


def measure(settings: Settings, bank: Path, trunk: Trunk) -> Result:
    crop_size = HandBank.crop_size_of(bank)
    run = settings.run / f"{trunk}_{crop_size}"
    training.main(
        training.Settings(
            run=run, bank=bank, crop_size=crop_size, pictures=settings.pictures, options=TRUNKS[trunk], device="cpu",
            seed=settings.seed, backgrounds=settings.backgrounds, validate=settings.validate, validate_minutes=float("inf"),
        )
    )  # fmt: skip
    _, manifest = load_network(run / "weights.safetensors")
    ms, parameters = time_ms(run / "weights.safetensors", settings.rounds)
    error_mm, error_px = manifest.accuracy["validation_3d_mm"], manifest.accuracy["validation_2d_px"] * 128 / crop_size
    return Result(trunk, crop_size, parameters, ms, error_mm, error_px, settings.pictures)


def plot(results: list[Result]) -> "Figure":
    """Error against time, one colour per crop size. Raises UserError where matplotlib is missing."""
    figure = new_figure(1440, 600)
    for axes, name, label in zip(
        figure.subplots(1, 2), ("error_mm", "error_px"), ("3D error, mm", "2D error, px of 128"), strict=True
    ):
        for size in sorted({r.crop_size for r in results}):
            of_size = sorted((r for r in results if r.crop_size == size), key=lambda r: r.ms)
            axes.plot([r.ms for r in of_size], [getattr(r, name) for r in of_size], "o", label=f"crops of {size} px")
            for r in of_size:
                axes.annotate(r.trunk, (r.ms, getattr(r, name)), xytext=(5, 4), textcoords="offset points")
        axes.set(xlabel="both views, one thread, ms", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(f"DetNet-lite's trunks after {results[0].pictures:,} pictures, held-out synthetic hands")
    return figure


def main(settings: Settings) -> None:
    files = (
        ProgramFiles()
        .reads("--bank", *settings.bank, whole=True)
        .reads("--backgrounds", settings.backgrounds)
        .fills("RUN", settings.run)
    )
    files.continues("RUN", settings.run / "results.jsonl", settings.run / "trunks.png").check()
    settings.run.mkdir(parents=True, exist_ok=True)
    log = settings.run / "results.jsonl"
    done = [msgspec.json.decode(line, type=Result) for line in log.read_bytes().splitlines()] if log.exists() else []
    for bank in settings.bank:
        for trunk in settings.trunks:
            if (trunk, HandBank.crop_size_of(bank)) in {(r.trunk, r.crop_size) for r in done}:
                continue
            done.append(measure(settings, bank, trunk))
            with log.open("ab") as file:
                file.write(msgspec.json.encode(done[-1]) + b"\n")
    # Times are taken anew in one go, so that they compare.
    torch.set_num_threads(1)
    done = [
        msgspec.structs.replace(
            r, ms=time_ms(settings.run / f"{r.trunk}_{r.crop_size}" / "weights.safetensors", settings.rounds)[0]
        )
        for r in done
    ]
    for r in done:
        size = f"{r.trunk:8} {r.crop_size:3} px  {r.parameters / 1e6:.2f} M"
        print(f"{size}  {r.ms:5.1f} ms  {r.error_mm:.1f} mm  {r.error_px:.1f} px of 128")
    save_figure(plot(done), settings.run / "trunks.png")
    print(settings.run / "trunks.png")


if __name__ == "__main__":
    program.run(main, Settings)
