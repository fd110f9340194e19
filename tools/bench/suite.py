"""How long the parts take on this machine: `python -m tools.bench`, or some of them: `python -m tools.bench draw network`.

`python -m tools.bench engines` compares every engine of both networks, `python -m tools.bench stream` times the whole pipeline,
stage by stage; `--json FILE` writes the figures of either.

One thread, unless a line says otherwise. Medians over interleaved rounds; compare ratios within one run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tyro

from capture.views import PerView
from hand.errors import UserError
from hand.files import saving
from hand.outputs import ProgramFiles, with_manifest
from runtime.engines.names import EngineName
from tools.bench import adaptation, estimators, hands
from tools.bench import engines as bench_engines
from tools.bench import stream as bench_stream
from tools.bench.timed import Make, Timed, time_parts

Part = Literal[
    "engines",
    "stream",
    "draw",
    "network",
    "locator",
    "crop",
    "detnet-lite",
    "mediapipe-3d",
    "mediapipe",
    "mediapipe-lite",
    "rotation",
    "fit",
    "skin",
    "adapt",
]
_WHOLES = ("engines", "stream")
"""Parts that print tables of their own."""
PARTS: dict[str, Make] = {**hands.PARTS, **estimators.PARTS, **adaptation.PARTS}


@dataclass
class Settings:
    """Time the parts."""

    parts: tyro.conf.Positional[tuple[Part, ...]] = get_args(Part)[2:]
    rounds: int = 15
    json: Path | None = None
    """Write the figures of `engines` and `stream` to this file."""
    overwrite: bool = False
    """Replace files that are there already."""
    detnet: Path | None = None
    """For `engines`: DetNet's weights; none: random ones, which take as long."""
    clip: tuple[Path, Path] | None = None
    """For `stream`: the left and the right video; none: the synthetic cameras."""
    engine: EngineName = "auto"
    """For `stream`."""
    peer: str | None = None
    """For `stream`: another program's command to run in turns, which prints `N pairs/s`."""


def names(part: Part) -> list[str]:
    """What is timed of a part: itself, or several things."""
    return [name for name in PARTS if name == part or (part in ("adapt", "mediapipe-3d") and name.startswith(f"{part}-"))]


def write_figures(figures: dict[str, object], path: Path) -> None:
    """Raises UserError where the file cannot be written."""
    with saving(path) as part:
        part.write_text(json.dumps(figures, indent=2) + "\n")


def main(settings: Settings) -> None:
    import torch

    files = ProgramFiles(overwrite=settings.overwrite).reads("--clip", *(settings.clip or ()))
    files.reads("--detnet", *with_manifest(settings.detnet))
    files.writes("--json", settings.json).check()
    figures: dict[str, object] = {}
    if "engines" in settings.parts:
        figures["engines"] = bench_engines.show(settings.detnet)
    if "stream" in settings.parts:
        clip = PerView(*settings.clip) if settings.clip else None
        figures["stream"] = stream = bench_stream.show(clip, settings.engine, settings.peer)
        # For readers of this one figure alone.
        figures["pairs_per_s"] = stream["pairs_per_s"]
    if settings.json:
        write_figures(figures, settings.json)
    torch.set_num_threads(1)
    parts: dict[str, Timed] = {}
    for name in (name for part in settings.parts if part not in _WHOLES for name in names(part)):
        try:
            parts[name] = PARTS[name]()
        except UserError as error:
            print(f"{name}: {error}")
    for name, spent in time_parts(parts, settings.rounds).items():
        median, p90 = np.percentile(spent, [50, 90])
        what = parts[name].what
        rate = f"; {1e3 / median:.2f} a second" if "whole step" in what else ""
        print(f"{name:15} {median:8.2f} ms  (p90 {p90:.2f})  {what}{rate}")
