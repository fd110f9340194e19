"""Pseudo-labels for real hands, triangulated from two clips: `python -m tools.label data/taught --left A --right B`.

Both clips are read twice: on the first pass the cameras calibrate themselves, on the second every pair is labelled by
triangulation. Crops go into shards that `tools.train --taught` mixes with synthetic hands; a page shows some of them. The same
clips always give the same shards.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from adapt.core.geometry_labels import LabelledPair
from adapt.core.geometry_teacher import label_recording
from adapt.core.label_crops import LabelledCrop
from adapt.offline.recording import RecordingSettings, frame_size, resolve_handedness
from capture.views import PerView, View
from hand import program
from hand.errors import UserError
from hand.joints import JOINTS
from hand.outputs import ProgramFiles
from hand.synth.crops import SURFACE_CELL, SyntheticCrops
from hand.synth.turn import BORDER
from runtime.estimators.estimator import Estimator, FollowSettings
from runtime.estimators.framing import AROUND_JOINTS
from runtime.estimators.registry import EstimatorName, EstimatorOptions, load_estimator
from runtime.reporting.calibration_text import describe
from runtime.types import Side
from tools.report.figures import NEEDS_MATPLOTLIB, save_figure
from tools.report.label_sheet import MAX_CROPS, SampleCrop, draw_label_sheet
from tools.train.bank import SHARD, save_shard


@dataclass
class Settings(RecordingSettings):
    """Make pseudo-labels of real hands for training."""

    taught: tyro.conf.Positional[Path]
    """Folder of shards; those of other recordings are kept."""
    estimator: Annotated[EstimatorName, tyro.conf.arg(aliases=["--engine"])] = "mediapipe"
    """What finds the joints."""
    crop_size: int = 64
    """Crop size of the network to be trained, px."""
    looks: int = 4
    """Crops of each hand in each view, each with a slightly displaced box."""
    sheet: Path | None = None
    """PNG file to draw some labelled crops into; sheet.png in the folder of shards, drawn anew by each call, if not given."""
    seed: int = 0
    overwrite: bool = False
    """Replace files that are there already."""


@dataclass(frozen=True, slots=True)
class LabelledCropPair:
    """A pair's crops."""

    number: int
    captured_ns: int
    side: Side
    crops: PerView[list[LabelledCrop]]

    @classmethod
    def cut(cls, labelled: LabelledPair, settings: Settings, random: np.random.Generator) -> "LabelledCropPair":
        pair, labels = labelled.pair, labelled.labels

        def crops(view: View) -> list[LabelledCrop]:
            return [
                LabelledCrop.cut(labels[view], pair[view].image, settings.crop_size, AROUND_JOINTS, BORDER, random)
                for _ in range(settings.looks)
            ]

        captured_ns = max(pair.left.captured_ns, pair.right.captured_ns)
        return cls(pair.left.seq, captured_ns, labels.left.side, PerView.of(crops))


class Shards:
    """Collects a recording's crops, writes them into its shards and keeps a sample of them."""

    def __init__(self, settings: Settings):
        self.files: list[Path] = []
        self.pairs = self.crops = 0
        self._name = settings.taught / _name(settings)
        self._pending: list[LabelledCrop] = []
        self._samples: list[SampleCrop] = []
        self._random = np.random.default_rng(settings.seed)

    def add(self, taught: LabelledCropPair) -> None:
        self.pairs += 1
        for view, crops in taught.crops.items():
            self._pending += crops
            self.crops += len(crops)
            self._sample(SampleCrop(f"{taught.number} {view}", taught.number, crops[0]))
        if len(self._pending) >= SHARD:
            self._save()

    def finish(self) -> None:
        """Write the last shard, and remove shards that an earlier call wrote beyond it."""
        if self._pending:
            self._save()
        for file in self._name.parent.glob(f"{self._name.name}-*.safetensors"):
            if file not in self.files:
                file.unlink()

    @property
    def samples(self) -> list[SampleCrop]:
        """Some of the crops, in the order of their pairs."""
        return sorted(self._samples, key=lambda sample: sample.number)

    def _sample(self, sample: SampleCrop) -> None:
        # Reservoir sampling: each crop is as likely as any other to be kept.
        place = len(self._samples) if len(self._samples) < MAX_CROPS else int(self._random.integers(2 * self.pairs))
        if place < MAX_CROPS:
            self._samples[place : place + 1] = [sample]

    def _save(self) -> None:
        file = self._name.with_name(f"{self._name.name}-{len(self.files):03d}.safetensors")
        save_shard(shard_of(self._pending), file)
        self.files.append(file)
        self._pending = []


def estimator(settings: Settings) -> Estimator:
    """The estimator whose joints make the geometry. Raises UserError where its parts are missing."""
    options = EstimatorOptions(follow=FollowSettings(settings.hand_side))
    return load_estimator(settings.estimator, options).make(settings.clips.map(frame_size))


def write(settings: Settings, make_estimator: Callable[[], Estimator] | None = None) -> Shards:
    """Label a recording. Raises UserError where it cannot be read, shows no hand, or does not determine the cameras' places."""
    make = make_estimator or (lambda: estimator(settings))
    watched = settings.calibrated(make())
    print(f"{describe(watched.status)}, from {watched.both:,} pairs that show the hand to both")
    settings.taught.mkdir(parents=True, exist_ok=True)
    random, shards = np.random.default_rng(settings.seed), Shards(settings)
    labelled = label_recording(settings.read("labelling"), make(), watched.state)
    for taught in resolve_handedness(LabelledCropPair.cut(pair, settings, random) for pair in labelled if pair is not None):
        shards.add(taught)
    shards.finish()
    if not shards.pairs:
        raise UserError(
            f"none of {watched.both:,} pairs that show the hand to both views fits the cameras that were found: give a recording "
            "of one hand that moves before two cameras that stand still"
        )
    return shards


def shard_of(crops: list[LabelledCrop]) -> SyntheticCrops:
    """The crops in the form of `tools.train`."""
    count, cells = len(crops), crops[0].camera.size // SURFACE_CELL
    joints, pixels, weight = (
        torch.from_numpy(np.stack([getattr(crop, name) for crop in crops])).float() for name in ("joints", "pixels", "weight")
    )
    no = torch.zeros(count, dtype=torch.bool)
    return SyntheticCrops(
        images=torch.from_numpy(np.stack([crop.image for crop in crops])),
        joints=joints,
        pixels=pixels,
        visible=torch.zeros(count, JOINTS, dtype=torch.bool),
        family=torch.zeros(count, dtype=torch.long),
        facing=torch.zeros(count),
        tone=torch.zeros(count),
        present=~no,
        # Left hands were mirrored when they were cut.
        mirrored=no,
        focal=torch.tensor([crop.camera.focal_px for crop in crops], dtype=torch.float),
        surface=torch.zeros(count, 5, cells, cells, dtype=torch.float16),
        weight=weight,
        weight_3d=torch.ones_like(weight),
        taught=~no,
    )


def _name(settings: Settings) -> str:
    """Name of a recording's shards: the same for the same part of the same clips."""
    left, right = settings.clips
    what = [str(left.resolve()), str(right.resolve()), str(settings.pairs)]
    return f"{left.stem}-{right.stem}-{hashlib.sha256(repr(what).encode()).hexdigest()[:8]}"


def main(settings: Settings) -> None:
    drawable = find_spec("matplotlib") is not None
    if settings.sheet and not drawable:
        raise UserError(NEEDS_MATPLOTLIB)
    files = settings.state_files(ProgramFiles(overwrite=settings.overwrite)).fills("TAUGHT", settings.taught)
    files.writes("--sheet", settings.sheet).check()
    shards = write(settings)
    print(f"{shards.pairs:,} pairs labelled: {shards.crops:,} crops in {settings.taught}")
    if drawable:
        sheet = settings.sheet or settings.taught / "sheet.png"
        save_figure(draw_label_sheet(shards.samples), sheet)
        print(f"some of them are in {sheet}")


if __name__ == "__main__":
    program.run(main, Settings)
