"""Which pseudo-labels adapt best, and what each addition brings: `python -m tools.evaluate.labels out/labels --clip FOLDER`.

The network adapts to the clip without labels, once per row; then the whole program runs on the clip with the adapted weights. The
clip's reference is for scoring only: nothing is trained on it. Errors on held-out synthetic hands show what was forgotten. Rows
that exist already are not made again, so an interrupted table can be continued.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import mean
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec
import torch
import tyro

from adapt.core.targets import LabelSource
from adapt.core.training_samples import TrainingSet
from adapt.offline.adapt_recording import Settings as Offline
from adapt.offline.adapt_recording import Teacher, collect_samples
from adapt.offline.label_error import label_error
from adapt.offline.training import bank_for, make_mean_teacher, prepared, train
from hand import program
from hand.errors import UserError
from hand.files import saving
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.outputs import ProgramFiles
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import SyntheticCrops
from runtime.estimators.adaptable_networks import load_adaptable
from runtime.estimators.framing import Framing
from runtime.estimators.registry import AdaptableName
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, save_network
from tools.evaluate.clip_scores import WholeScores, score_hands
from tools.evaluate.held_out_hands import BATCH, Kind, upright_hands
from tools.report.table import table
from tools.train.loop import log

ADDITIONS: dict[str, dict[str, object]] = {
    "augment": {"augment": True},
    "rehearse": {"rehearse": 0.33},
    "spectra": {"spectra": True},
    "pixels": {"pixel_term": True},
}
"""Name → options of `adapt.offline`, which are all off otherwise; everything else is as there by default."""
PLAIN = "plain"
NUMBERS = {"epochs": int, "batch": int, "rate": float, "memory": float, "rehearse": float}
"""What else may be tried."""
OFF: dict[str, object] = {"augment": False, "rehearse": 0.0, "spectra": False, "pixel_term": False}
ROOT = Path(__file__).resolve().parents[2]
SHIPPED = "as shipped"


@dataclass
class Settings:
    """Compare kinds of pseudo-labels and additions on a recorded clip."""

    folder: tyro.conf.Positional[Path]
    """Where weights, hands and rows are kept."""
    clip: Path
    """Folder of a recorded clip: left.mp4, right.mp4, reference.npz, calibration.json."""
    labels: tuple[LabelSource, ...] = get_args(LabelSource)
    additions: tuple[str, ...] = (
        *(PLAIN, "augment", "rehearse", "rehearse+spectra", "pixels"),
        *("rehearse+pixels", "rehearse+spectra+pixels", "augment+rehearse+spectra+pixels"),
    )
    """What is switched on in each row: any of augment, rehearse, spectra and pixels, joined by '+'; else plain."""
    also: dict[str, float] = field(default_factory=dict)
    """Further options of adapt.offline for all rows, such as 'epochs 20 rate 1e-3'."""
    seeds: tuple[int, ...] = (0,)
    """Of the training; a row shows the mean over them."""
    estimator: AdaptableName = "detnet"
    """Whose network adapts."""
    teacher: Teacher = "own"
    """The network whose joints the geometry is estimated from."""
    hands: int = 500
    """Held-out synthetic hands of each kind."""
    json: Path | None = None
    """File to write the rows to as well."""
    overwrite: bool = False
    """Replace files that are there already."""


class Row(msgspec.Struct, frozen=True):
    """The scores of one adapted network."""

    name: str
    seed: int
    own: WholeScores
    """Of the whole program merging by rotation: each view's own hands, and the rotation estimated from them."""
    whole: WholeScores
    """Of the whole program as it runs by default."""
    drawn_mm: float
    """Mean error on held-out synthetic hands."""
    foreign_mm: float
    """The same of the foreign hand."""
    held_out: float = float("nan")
    """Mean distance from the geometry's joints on held-out pairs, unit hands: the validation metric of `adapt.offline`."""
    learnt_s: float = 0.0
    """CPU time of the training."""


class Comparison:
    """Makes rows, one at a time; what they share is made once, when it is first needed."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._file = settings.folder / "rows.jsonl"
        settings.folder.mkdir(parents=True, exist_ok=True)
        lines = self._file.read_bytes().splitlines() if self._file.is_file() else []
        self.rows = [msgspec.json.decode(line, type=Row) for line in lines]

    @cached_property
    def offline(self) -> Offline:
        clip, folder = self.settings.clip, self.settings.folder
        return Offline(
            folder,
            left=clip / "left.mp4",
            right=clip / "right.mp4",
            teacher=self.settings.teacher,
            device="cpu",
            estimator=self.settings.estimator,
        )

    @cached_property
    def manifest(self) -> Manifest:
        return load_adaptable(self.settings.estimator)[1]

    @cached_property
    def watched(self) -> tuple[TwoViewGeometry, TrainingSet, TrainingSet]:
        return collect_samples(self.offline, self.manifest)

    @cached_property
    def bank(self) -> SyntheticCrops:
        return bank_for(*load_adaptable(self.settings.estimator), seed=0)

    @cached_property
    def drawn(self) -> dict[Kind, SyntheticCrops]:
        places, size = Backgrounds.load(None, "held_out"), self.manifest.crop_size
        framing = Framing.of(self.manifest)
        return {kind: upright_hands(kind, self.settings.hands, size, places, framing) for kind in get_args(Kind)}

    def add(self, name: str, seed: int, labels: LabelSource | None = None, addition: str = PLAIN) -> None:
        """Make the row if it does not exist yet; without `labels` the network as it ships."""
        if any((row.name, row.seed) == (name, seed) for row in self.rows):
            return
        network, manifest = load_adaptable(self.settings.estimator)
        folder = self.settings.folder / f"{name.replace(' + ', '+').replace(', ', ',').replace(' ', '-')}-{seed}"
        folder.mkdir(exist_ok=True)
        held_out, learnt_s = float("nan"), 0.0
        if labels is not None:
            geometry, learn_from, judge_by = self.watched
            how = replace(self.offline, labels=labels, seed=seed, **adaptation_options(addition, self.settings.also))
            learn_from, judge_by = (prepared(how, network, samples) for samples in (learn_from, judge_by))
            session = make_mean_teacher(how, network, manifest, geometry, self.bank if how.rehearsed else None)
            started = time.process_time()
            train(how, session, geometry, learn_from)
            learnt_s = time.process_time() - started
            network = session.teacher
            held_out = label_error(network, manifest, judge_by).joints
        save_network(folder / "weights.safetensors", network, manifest)
        row = Row(
            name,
            seed,
            self._program(folder, "rotation"),
            self._program(folder, "auto"),
            error_mm(network, self.drawn["our"]),
            error_mm(network, self.drawn["foreign"]),
            held_out,
            learnt_s,
        )
        log(self._file, msgspec.to_builtins(row))
        self.rows.append(row)

    def _program(self, folder: Path, merge: Literal["auto", "rotation"]) -> WholeScores:
        """Run the whole program on the clip."""
        clip, hands = self.settings.clip.resolve(), (folder / f"{merge}.jsonl").resolve()
        arguments = [
            "--left",
            clip / "left.mp4",
            "--right",
            clip / "right.mp4",
            "--every-pair",
            "--headless",
            "--merge",
            merge,
        ]
        arguments += [
            "--estimator",
            self.settings.estimator,
            "--weights",
            (folder / "weights.safetensors").resolve(),
            "--save",
            hands,
            "--overwrite",
        ]
        ended = subprocess.run([sys.executable, "stream.py", *arguments], cwd=ROOT, capture_output=True, text=True)
        if ended.returncode:
            raise UserError(f"stream.py ended with {ended.returncode} on {clip}: {ended.stderr.strip() or ended.stdout.strip()}")
        return score_hands(hands, clip)


@torch.inference_mode()
def error_mm(network: HandNetwork, drawn: SyntheticCrops) -> float:
    """Mean joint error, mm of a hand of 90."""
    joints = torch.cat([network(images).joints for images in drawn.images.split(BATCH)])
    return float((joints - drawn.joints).norm(dim=-1).mean()) * DEFAULT_HAND_SIZE_MM


def adaptation_options(addition: str, also: Mapping[str, float] = MappingProxyType({})) -> dict[str, Any]:
    """Options of `adapt.offline` for an addition. Raises UserError for one that it does not have."""
    chosen = OFF.copy()
    for name in () if addition == PLAIN else addition.split("+"):
        if name not in ADDITIONS:
            raise UserError(f"--additions has {name!r}, expected {PLAIN} or some of {', '.join(ADDITIONS)}, joined by '+'")
        chosen |= ADDITIONS[name]
    for name, value in also.items():
        if name not in NUMBERS:
            raise UserError(f"--also has {name!r}, expected some of {', '.join(NUMBERS)}, each with its number")
        chosen[name] = NUMBERS[name](value)
    return chosen


def requested_rows(settings: Settings) -> Iterator[tuple[str, LabelSource, str]]:
    """The rows that are asked for: name, kind of labels, addition."""
    common = [settings.estimator] if settings.estimator != "detnet" else []
    common += [settings.teacher] if settings.teacher != "own" else []
    common += [f"{name} {value:g}" for name, value in settings.also.items()]
    for labels in settings.labels:
        for addition in settings.additions:
            name = labels if addition == PLAIN else f"{labels} + {addition.replace('+', ' + ')}"
            yield ", ".join([name, *common]), labels, addition


def cells_of(rows: list[Row]) -> dict[str, dict[str, str]]:
    """Cells by row and column; several seeds of one name as their mean and half of their range."""

    def cell(values: list[float], digits: int = 1) -> str:
        spread = f" ±{(max(values) - min(values)) / 2:.{digits}f}" if len(values) > 1 else ""
        return f"{mean(values):.{digits}f}{spread}"

    cells: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(row.name for row in rows):
        runs = [row for row in rows if row.name == name]
        cells[name] = {
            "each view mm": cell([row.own.mono_mm for row in runs]),
            "by rotation mm": cell([row.own.dual_mm for row in runs]),
            "rotation off": cell([row.own.rotation_deg for row in runs]),
            "whole program mm": cell([row.whole.dual_mm for row in runs]),
            "missed": cell([row.whole.missed for row in runs], 0),
            "drawn mm": cell([row.drawn_mm for row in runs]),
            "foreign mm": cell([row.foreign_mm for row in runs]),
            "held out": cell([row.held_out for row in runs], 3),
            "CPU s": cell([row.learnt_s for row in runs], 0),
        }
    return cells


def main(settings: Settings) -> None:
    """Make the rows that are missing, printing the table after each. Raises UserError for a clip that cannot be used."""
    for addition in settings.additions:
        adaptation_options(addition, settings.also)
    files = ProgramFiles(overwrite=settings.overwrite).reads("--clip", settings.clip).fills("FOLDER", settings.folder)
    files.continues("FOLDER", settings.folder / "rows.jsonl").writes("--json", settings.json).check()
    comparison = Comparison(settings)
    comparison.add(SHIPPED, 0)
    for seed in settings.seeds:
        for name, labels, addition in requested_rows(settings):
            comparison.add(name, seed, labels, addition)
            print(table(cells_of(comparison.rows)), flush=True)
    if settings.json:
        with saving(settings.json) as part:
            part.write_bytes(msgspec.json.encode(comparison.rows))
    print(table(cells_of(comparison.rows)))


if __name__ == "__main__":
    program.run(main, Settings)
