"""What adaptation gains on many camera pairs or recordings: `python -m tools.sweep out/sweep --data data/headsets`.

All camera pairs of a data set times all settings, or a list of recordings, run in processes of this machine or on a Ray cluster.
Each run's row is written when the run ends, so an interrupted sweep resumes and repeats nothing. At the end the table is printed
next to the figures published with S2DHand, and all rows are in `rows.parquet`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import tyro
from tqdm import tqdm

from adapt.core.targets import LabelSource
from adapt.datasets.assembly_annotations import HEADSETS
from adapt.datasets.assembly_hands import PAIRS
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from runtime.estimators.network_settings import NetworkSettings
from runtime.networks.weights import load_tensors
from tools.sweep.jobs import Job, PairJob, recording_job
from tools.sweep.pool import run_jobs
from tools.sweep.rows import Rows
from tools.sweep.table import draw_table, table_of


@dataclass
class Settings(NetworkSettings):
    """Adapt to many camera pairs or recordings and print a table of the results."""

    out: tyro.conf.Positional[Path]
    """Folder for the rows; runs that have their row there are not repeated."""
    data: Path | None = None
    """Data set in AssemblyHands' layout: every camera pair of both headsets is adapted to."""
    recordings: Path | None = None
    """Text file in place of a data set: one recording a line, the left clip and the right clip."""
    labels: tuple[LabelSource, ...] = ("both",)
    """Methods of labelling; each is a setting of its own."""
    faithful: bool = False
    """Add the published method as one more setting; for data sets."""
    rotations: Path | None = None
    """JSON table of rotations for --faithful."""
    setups: tuple[int, ...] = (0, 1)
    pairs: tuple[str, ...] = tuple(f"{a},{b}" for a, b in PAIRS)
    """Camera pairs, such as 0,1 1,2."""
    pic: int = 512
    """Number of hand pairs to adapt to, from the first on; -1 for all."""
    test_pic: int = 128
    """Number of hand pairs to test on, evenly subsampled; -1 for all."""
    shown: bool = False
    """Test on all pairs, as published; else only on pairs that were not adapted to."""
    epochs: int = 2
    """Few are enough for so many pairs (`tools/TRAINING.md`)."""
    rate: float | None = None
    """Adam's learning rate, for data sets; the recipe's if not given."""
    rehearse: float = 0.0
    """Share of synthetic hands in each training batch, for data sets; 0 for none."""
    seed: int = 1
    workers: int = 1
    """Processes, one core each; on a Ray cluster 0 is one a CPU."""
    ray: str | None = None
    """Run on a Ray cluster: auto for the one that is running here, an address for another, local for one of this machine."""
    keep: Path | None = None
    """Folder for adapted weights; none are kept if not given."""
    retry: bool = False
    """Repeat runs that ended in an error."""
    picture: Path | None = None
    """PNG file to draw the table into; needs matplotlib."""
    overwrite: bool = False
    """Replace files that are there already."""


def jobs_of(settings: Settings) -> Iterator[Job]:
    """The runs of a sweep. Raises UserError for a list of recordings that cannot be read."""
    common = {
        "epochs": settings.epochs,
        "seed": settings.seed,
        "weights": str(settings.weights_file.resolve()),
        "weights_sha256": _sha256(settings.weights_file),
    }
    if settings.data is not None:
        methods: list[tuple[LabelSource, bool]] = [(labels, False) for labels in settings.labels]
        if settings.faithful:
            methods.append(("s2dhand", True))
        for setup, pair, (labels, faithful) in product(settings.setups, settings.pairs, methods):
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
                **common,
            )
    elif settings.recordings is not None:
        try:
            with settings.recordings.open() as lines:
                for line in lines:
                    for labels in settings.labels:
                        job = recording_job(line, {"labels": labels, **common})
                        if job is not None:
                            yield job
        except OSError as error:
            raise UserError(f"--recordings {settings.recordings} cannot be read ({error.strerror}): give a text file") from error


def sweep(settings: Settings) -> Rows:
    """Run all jobs that have no row yet. Raises UserError for wrong settings; an error of a job stands in its row."""
    _check(settings)
    files = ProgramFiles(overwrite=settings.overwrite).reads("--recordings", settings.recordings)
    files.reads("--rotations", settings.rotations).reads("--weights", *with_manifest(settings.weights_file))
    if settings.data:
        files.reads("--data", settings.data / "annotations", settings.data / "images")
    files.fills("OUT", settings.out).fills("--keep", settings.keep).continues("OUT", settings.out / "rows.parquet")
    files.writes("--picture", settings.picture).check()
    # An error in the last line of the list shows before the first job runs.
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
        for row in run_jobs(to_do(), settings.workers, keep, settings.ray):
            rows.add(row)
            done, failed = done + 1, failed + (row.error is not None)
            bar.set_postfix_str(f"{row.name} {row.labels}" + (f", {failed} failed" if failed else ""), refresh=False)
            bar.update(done + skipped - bar.n)
        bar.update(done + skipped - bar.n)
    rows.gather()
    print(f"{done:,} runs done, {failed:,} of them failed; {skipped:,} had their row before")
    return rows


def _check(settings: Settings) -> None:
    # Weights of another estimator are refused before the first run.
    settings.load_network()
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
