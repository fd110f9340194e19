"""What one run of a sweep does: its job, the key that identifies it from sweep to sweep, and the row of its results.

A job is one camera pair of a data set or one recording. It holds all that its results depend on, the weights by their hash, so
its key is a hash of itself.
"""

import hashlib
import io
import re
import tempfile
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from adapt.core.targets import LabelSource
from hand.errors import UserError
from runtime.networks.weights import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from adapt.datasets.models import Models

_VERSION = 1
"""Of what a job does; part of its key."""


class _Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    labels: LabelSource
    epochs: int
    seed: int
    weights: str = str(DEFAULT_WEIGHTS)
    weights_sha256: str = ""

    @property
    def key(self) -> str:
        """16 hexadecimal digits."""
        content = msgspec.json.encode((_VERSION, type(self).__name__, self), order="deterministic")
        return hashlib.sha256(content).hexdigest()[:16]


class PairJob(_Job, frozen=True, kw_only=True, tag="pair"):
    """One camera pair of a data set in AssemblyHands' layout."""

    data: str
    setup: int
    pair: str
    pic: int = -1
    test_pic: int = -1
    held_out: bool = False
    faithful: bool = False
    rotations: str | None = None
    rate: float | None = None
    rehearse: float = 0.0

    @property
    def name(self) -> str:
        return f"set{self.setup}-{self.pair}"

    def run(self, folder: Path) -> dict[str, object]:
        """Fields of the row; adapted weights go to `folder`. Raises UserError."""
        from adapt.datasets.published_options import Settings
        from adapt.datasets.run import adapt
        from runtime.estimators.registry import estimator_of
        from runtime.networks.weights import load_network

        # Whose network it is, is no field: the key has the weights by their hash.
        _, manifest = load_network(Path(self.weights))
        settings = Settings(
            datasets_train=(self.data,),
            setup=self.setup,
            pair=self.pair,
            pic=self.pic,
            test_pic=self.test_pic,
            held_out=self.held_out,
            faithful=self.faithful,
            rotations=Path(self.rotations) if self.rotations else None,
            labels=None if self.faithful else self.labels,
            learning_rate=None if self.faithful else self.rate,
            rehearse=0.0 if self.faithful else self.rehearse,
            epochs=self.epochs,
            seed=self.seed,
            estimator=estimator_of(manifest.architecture),
            weights=Path(self.weights),
            checkpoint=folder,
            keep="last",
        )
        outcome = adapt(settings, models=_models())
        return {
            "note": outcome.note,
            "pairs": outcome.pairs,
            "tested": outcome.after.pairs,
            "mono_before_mm": outcome.before.mono_m,
            "mono_after_mm": outcome.after.mono_m,
            "dual_before_mm": outcome.before.dual_m,
            "dual_before_placed_mm": outcome.before_placed.dual_m,
            "dual_after_mm": outcome.after.dual_m,
            "rotation_before_deg": outcome.rotation_before_deg,
            "rotation_after_deg": outcome.rotation_after_deg,
            "own_rotation_after_deg": outcome.own_rotation_after_deg,
        }


class ClipsJob(_Job, frozen=True, kw_only=True, tag="clips"):
    """One recording: a clip of each camera."""

    left: str
    right: str

    @property
    def name(self) -> str:
        return f"{self.left} {self.right}"

    def run(self, folder: Path) -> dict[str, object]:
        """Fields of the row; adapted weights go to `folder`. Raises UserError."""
        from adapt.offline.adapt_recording import Settings, collect_samples, train_and_save
        from adapt.offline.label_error import label_error
        from runtime.estimators.registry import estimator_of
        from runtime.networks.weights import load_network

        network, manifest = load_network(Path(self.weights))
        settings = Settings(
            folder,
            left=Path(self.left),
            right=Path(self.right),
            labels=self.labels,
            epochs=self.epochs,
            seed=self.seed,
            estimator=estimator_of(manifest.architecture),
            weights=Path(self.weights),
            device="cpu",
        )
        geometry, training_set, held_out = collect_samples(settings, manifest)
        before = label_error(network, manifest, held_out)
        saved = train_and_save(settings, geometry, training_set, held_out)
        after = label_error(*load_network(folder / "weights.safetensors"), held_out) if saved else before
        return {
            "pairs": len(training_set.pairs),
            "tested": len(held_out.pairs),
            "off_before": before.joints,
            "off_after": after.joints,
            "saved": saved,
        }


Job = PairJob | ClipsJob


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Results of a job; None where a field does not apply to the job's kind or was not reached."""

    key: str
    name: str
    labels: str
    job: str
    """As JSON."""
    seconds: float
    error: str | None = None
    """Why there are no results, in a sentence."""
    note: str | None = None
    setup: int | None = None
    pair: str | None = None
    pairs: int | None = None
    """Adapted to."""
    tested: int | None = None
    """Pairs of the test set."""
    mono_before_mm: float | None = None
    mono_after_mm: float | None = None
    dual_before_mm: float | None = None
    """Merged through the rotation estimated from the network's own predictions."""
    dual_before_placed_mm: float | None = None
    """Merged through the rotation that is used afterwards."""
    dual_after_mm: float | None = None
    rotation_before_deg: float | None = None
    rotation_after_deg: float | None = None
    own_rotation_after_deg: float | None = None
    off_before: float | None = None
    """Of a recording, which has no ground truth: mean distance from held-out pseudo-labels of the geometry, unit hands."""
    off_after: float | None = None
    saved: bool | None = None
    """Of a recording: whether the adapted weights were better and kept."""


def run_job(job: Job, keep: str | None = None) -> Row:
    """The job's row; an exception becomes the row's error. Networks and annotations are loaded once a process.

    `keep`: folder for adapted weights, each in a folder of its key; None keeps none.
    """
    start = perf_counter()
    try:
        # What a run prints stands in its row.
        with tempfile.TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
            results = job.run(Path(keep) / job.key if keep is not None else Path(scratch))
    except UserError as error:
        results = {"error": str(error)}
    except Exception as error:
        # The other jobs go on; what is wrong with this one stands in its row.
        results = {"error": f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"}
    return row_of(job, perf_counter() - start, **results)


def row_of(job: Job, seconds: float, **results: object) -> Row:
    """The job's row with these results."""
    is_pair = isinstance(job, PairJob)
    fields = {
        "key": job.key,
        "name": job.name,
        "labels": "faithful" if is_pair and job.faithful else job.labels,
        "job": msgspec.json.encode(job, order="deterministic").decode(),
        "seconds": seconds,
        **({"setup": job.setup, "pair": job.pair} if is_pair else {}),
        **results,
    }
    return msgspec.convert(fields, Row)


def recording_job(line: str, settings: dict[str, object]) -> Job | None:
    """The job of a line of a list of recordings; None for an empty line or a comment.

    A line names a left and a right clip, separated by a tab or spaces. Raises UserError for any other line.
    """
    line = line.split("#")[0].strip()
    if not line:
        return None
    clips = line.split("\t") if "\t" in line else re.split(r"\s+", line)
    if len(clips) != 2:
        raise UserError(
            f"the line {line!r} names {len(clips)} clips: expected two, the left and the right one, a tab between them"
        )
    return msgspec.convert({"kind": "clips", "left": clips[0], "right": clips[1], **settings}, ClipsJob)


@cache
def _models() -> "Models":
    from adapt.datasets.models import Models

    return Models()
