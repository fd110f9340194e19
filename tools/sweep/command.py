"""Adapt to many camera pairs or recordings at once: `python -m tools.sweep out/sweep --data data/headsets`.

All pairs of a data set's cameras times all settings, or a list of recordings, run in processes of this machine or on a Ray
cluster. Each run's row is kept as soon as it is there, so a sweep that was broken off goes on where it was; what is done is not
done again. At the end the table is printed, next to what was published with S2DHand, and all rows are in `rows.parquet`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro
from tqdm import tqdm

from adapt.core.targets import Labels
from adapt.datasets.assembly_annotations import HEADSETS
from adapt.datasets.assembly_hands import PAIRS
from hand.errors import UserError
from runtime.networks.weights import DEFAULT_WEIGHTS, load_tensors
from tools.sweep.jobs import Job, PairJob, Row, recording_job
from tools.sweep.pool import in_processes, on_ray
from tools.sweep.rows import Rows
from tools.sweep.table import draw_table, table_of


@dataclass
class Settings:
    """Adapt to many camera pairs or recordings, and print what came of it."""

    out: tyro.conf.Positional[Path]
    """Folder for the rows; what has its row there is not done again."""
    data: Path | None = None
    """Data set in AssemblyHands' layout: every camera pair of both headsets is adapted to."""
    recordings: Path | None = None
    """Text file instead: a line a recording, the left clip and the right clip."""
    labels: tuple[Labels, ...] = ("both",)
    """Each is a setting of its own."""
    faithful: bool = False
    """The published way beside them, as one more setting; for data sets."""
    rotations: Path | None = None
    """JSON table of rotations for --faithful."""
    setups: tuple[int, ...] = (0, 1)
    pairs: tuple[str, ...] = tuple(f"{a},{b}" for a, b in PAIRS)
    """Camera pairs, such as 0,1 1,2."""
    pic: int = 512
    """Hand pairs to adapt to, the first so many; -1 for all."""
    test_pic: int = 128
    """Hand pairs to test on, evenly chosen; -1 for all."""
    shown: bool = False
    """Test on all pairs, as published; else on those alone that were not adapted to."""
    epochs: int = 2
    """Few: of so many pairs all there is to be learnt is learnt soon (`tools/TRAINING.md`)."""
    rate: float | None = None
    """Adam's learning rate, for data sets; the recipe's if not given."""
    rehearse: float = 0.0
    """Share of drawn hands in what is learnt from, for data sets; 0 for none."""
    seed: int = 1
    weights: Path = DEFAULT_WEIGHTS
    """Of the network to adapt."""
    workers: int = 1
    """Processes; on a Ray cluster 0 is one a CPU."""
    ray: str | None = None
    """auto for the Ray cluster that is running here, an address for another one, local for one on this machine."""
    keep: Path | None = None
    """Folder for adapted weights; none are kept if not given."""
    retry: bool = False
    """Do again what ended in an error."""
    picture: Path | None = None
    """PNG file to draw the table into; needs matplotlib."""


def jobs_of(settings: Settings) -> Iterator[Job]:
    """One after the other. Raises UserError for what is no list of recordings."""
    same = {
        "epochs": settings.epochs,
        "seed": settings.seed,
        "weights": str(settings.weights.resolve()),
        "weights_sha256": _sha256(settings.weights),
    }
    if settings.data is not None:
        ways: list[tuple[Labels, bool]] = [(labels, False) for labels in settings.labels]
        if settings.faithful:
            ways.append(("s2dhand", True))
        for setup, pair, (labels, faithful) in product(settings.setups, settings.pairs, ways):
            yield PairJob(
                data=str(settings.data.resolve()),
                setup=setup,
                pair=pair,
                labels=labels,
                faithful=faithful,
                rotations=str(settings.rotations.resolve()) if settings.rotations and faithful else None,
                pic=settings.pic,
                test_pic=settings.test_pic,
                rate=settings.rate,
                rehearse=settings.rehearse,
                held_out=not settings.shown,
                **same,
            )
    elif settings.recordings is not None:
        try:
            with settings.recordings.open() as lines:
                for line in lines:
                    for labels in settings.labels:
                        job = recording_job(line, {"labels": labels, **same})
                        if job is not None:
                            yield job
        except OSError as error:
            raise UserError(f"--recordings {settings.recordings} cannot be read ({error.strerror}): give a text file") from error


def sweep(settings: Settings) -> Rows:
    """Run what is not done yet. Raises UserError for what cannot be done at all; what is wrong with a job stands in its row."""
    _check(settings)
    # Once through all of them, for what is wrong with the last one to show before the first one is run.
    total = sum(1 for _ in jobs_of(settings))
    rows = Rows(settings.out, settings.retry)
    skipped = 0

    def to_do() -> Iterator[Job]:
        nonlocal skipped
        for job in jobs_of(settings):
            if job.key in rows:
                skipped += 1
            else:
                yield job

    keep = str(settings.keep.resolve()) if settings.keep else None
    done = failed = 0
    with tqdm(desc="sweep", unit="run", total=total) as bar:
        for row in _run(settings, to_do(), keep):
            rows.add(row)
            done, failed = done + 1, failed + (row.error is not None)
            bar.set_postfix_str(f"{row.name} {row.labels}" + (f", {failed} failed" if failed else ""), refresh=False)
            bar.update(done + skipped - bar.n)
        bar.update(done + skipped - bar.n)
    rows.gather()
    print(f"{done:,} runs done, {failed:,} of them failed; {skipped:,} had their row before")
    return rows


def _run(settings: Settings, jobs: Iterator[Job], keep: str | None) -> Iterator[Row]:
    if settings.ray is not None:
        return on_ray(jobs, settings.ray, settings.workers or None, keep)
    return in_processes(jobs, settings.workers, keep)


def _check(settings: Settings) -> None:
    if (settings.data is None) == (settings.recordings is None):
        raise UserError("give either --data FOLDER, a data set, or --recordings FILE, a list of clips")
    known = {f"{a},{b}" for a, b in PAIRS}
    for pair in settings.pairs:
        if pair not in known:
            raise UserError(f"--pairs {pair} is no camera pair: expected some of {' '.join(sorted(known))}")
    for setup in settings.setups:
        if setup not in range(len(HEADSETS)):
            raise UserError(f"--setups {setup} is no headset: expected 0 or 1")
    if settings.workers < (0 if settings.ray else 1):
        raise UserError(f"--workers is {settings.workers}, expected 1 or more")


def _sha256(weights: Path) -> str:
    return load_tensors(weights)[1].sha256 if weights.suffix == ".safetensors" else ""


def main(settings: Settings) -> int:
    rows = sweep(settings)
    file = settings.out / "rows.parquet"
    count = rows.save(file)
    print(table_of(rows))
    print(f"{count:,} rows: {file}")
    if settings.picture is not None:
        draw_table(rows, settings.picture)
        print(f"picture: {settings.picture}")
    return 1 if any(row.error for row in rows) else 0
