"""Photographs of hands become shards to train on: `duohand label photos FOLDER --out SHARDS`.

A folder, or folders in it, hold pictures with `labels.jsonl` (`tools.train.labelled_photographs`). Pictures without labels are
searched for hands by the teacher, MediaPipe's network with our depth (`duohand get-mediapipe`). Labels that it contradicts are
left out and counted by reason; near-duplicates are shown as rarely as one picture. `tools.train --photos SHARDS` mixes the crops
with drawn hands.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from tqdm import tqdm

from hand import program
from hand.errors import UserError
from hand.outputs import ProgramFiles
from runtime.engines.names import EngineKind
from runtime.estimators.crop_prediction import MIN_PRESENCE
from tools.photographs import NetworkSearch, load_named_locator, load_network_engine
from tools.photos.balance import articulation, looks, near_duplicates, picture_hash, shares
from tools.photos.shards import CropCutter, TaughtPhotograph, write_shards
from tools.photos.teacher import FOV_DEG, Lesson, lesson_of
from tools.predict import read_picture
from tools.train.backgrounds import DEFAULT_BANK
from tools.train.labelled_photographs import LABELS, LabelledPhotograph, labelled_photographs

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass
class Settings:
    """Make shards to train on from photographs of hands."""

    folder: tyro.conf.Positional[Path]
    """Photographs with labels.jsonl, or photographs alone; folders in it are read too."""
    out: Path
    """Folder of shards; it has to be new or empty."""
    photographs: int | None = None
    """Photographs to use at most, chosen at random, near-duplicates together as often as one; all, if not given."""
    crops: int = 16_000
    """Crops to cut in all."""
    most: int = 12
    """Crops of one photograph at most."""
    crop_size: int = 64
    """Crop size of the network to be trained, px."""
    engine: EngineKind = "onnx"
    """What runs the teacher."""
    backgrounds: Path | None = DEFAULT_BANK
    """Bank made by tools.train.backgrounds, to put hands before that were cut out onto white; 'None' for procedural ones."""
    seed: int = 0
    threads: int = 1
    """Of a CPU."""


@dataclass(frozen=True, slots=True)
class Believed:
    """A photograph whose label is believed."""

    file: Path
    collection: str
    hash: int
    lesson: Lesson


def search_unlabelled(folder: Path, settings: Settings) -> list[LabelledPhotograph]:
    """The teacher's own labels of a folder's pictures in which it is sure of a hand. Raises UserError where there are none."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES)
    if not files:
        raise UserError(f"{folder} holds neither {LABELS} nor pictures: give a folder of photographs of hands")
    engine = load_network_engine("mediapipe-3d", engine=settings.engine, threads=settings.threads)
    find = NetworkSearch(engine, load_named_locator("mediapipe-3d", threads=settings.threads))
    return [
        LabelledPhotograph(file, hit.hand.pixels, hit.hand.side == "right")
        for file in tqdm(files, desc="searched", unit="picture")
        for hit in find(read_picture(file), FOV_DEG)
        if hit.score >= MIN_PRESENCE
    ]


def different_ones(photographs: list[LabelledPhotograph], count: int, random: np.random.Generator) -> list[LabelledPhotograph]:
    """`count` of them, or all where there are no more, the more often the fewer near-duplicates they have."""
    duplicates = near_duplicates([picture_hash(read_picture(one.file)) for one in photographs])
    share = shares([one.file.parent.name for one in photographs], [()] * len(photographs), duplicates)
    picked = random.choice(len(photographs), min(count, len(photographs)), replace=False, p=share)
    return [photographs[number] for number in sorted(picked.tolist())]


def believed(photographs: list[LabelledPhotograph], settings: Settings, rejected: "Counter[str]") -> Iterator[Believed]:
    """The photographs that the teacher agrees with; others are counted in `rejected` by reason."""
    engine = load_network_engine("mediapipe-3d", engine=settings.engine, threads=settings.threads)
    for one in tqdm(photographs, desc="taught", unit="picture"):
        image = read_picture(one.file)
        answer = lesson_of(engine, image, one.pixels, "right" if one.right else "left")
        if isinstance(answer, Lesson):
            yield Believed(one.file, one.file.parent.name, picture_hash(image), answer)
        else:
            rejected[answer] += 1


def main(settings: Settings) -> None:
    """Label, cut and store. Raises UserError for folders that cannot be used, or that hold no hand to learn from."""
    files = ProgramFiles().reads("FOLDER", settings.folder, whole=True).reads("--backgrounds", settings.backgrounds)
    files.fills("--out", settings.out).check()
    if settings.out.is_dir() and any(settings.out.iterdir()):
        raise UserError(f"{settings.out} holds files already: give a new folder for the shards")
    torch.set_num_threads(settings.threads)
    random = np.random.default_rng(settings.seed)
    labelled = any(settings.folder.glob(f"**/{LABELS}"))
    photographs = labelled_photographs(settings.folder) if labelled else search_unlabelled(settings.folder, settings)
    if settings.photographs is not None:
        photographs = different_ones(photographs, settings.photographs, random)
    rejected: Counter[str] = Counter()
    kept = list(believed(photographs, settings, rejected))
    if not kept:
        raise UserError(f"none of {len(photographs)} photographs in {settings.folder} shows a hand that the teacher is sure of")
    duplicates = near_duplicates([one.hash for one in kept])
    share = shares([one.collection for one in kept], [articulation(one.lesson.joints) for one in kept], duplicates)
    counts = looks(share, settings.crops, settings.most, random)
    taught = (
        TaughtPhotograph(read_picture(one.file), one.lesson, count)
        for one, count in zip(kept, counts.tolist(), strict=True)
        if count
    )
    settings.out.mkdir(parents=True, exist_ok=True)
    cut = CropCutter(settings.crop_size, settings.seed, settings.backgrounds)
    total = write_shards(taught, cut, settings.out, random)
    print(f"{len(kept):,} of {len(photographs):,} photographs believed: {total:,} crops in {settings.out}")
    for reason, number in rejected.most_common():
        print(f"  left out: {number:,}, {reason}")
    for collection in sorted({one.collection for one in kept}):
        rows = [row for row, one in enumerate(kept) if one.collection == collection]
        worth = (1 / duplicates[rows]).sum()
        print(f"  {collection}: {len(rows):,} photographs, as good as {worth:.0f}, {counts[rows].sum():,} crops")


if __name__ == "__main__":
    program.run(main, Settings)
