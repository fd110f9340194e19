"""What one run of a sweep is: its job, the key that makes it the same job tomorrow, and the row that comes of it.

A job is either one camera pair of a data set or one recording. It carries all that it depends on, the weights by their hash, so
that its key is a hash of itself.
"""

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from time import perf_counter

import msgspec

from adapt.core.targets import Labels
from hand.errors import UserError
from runtime.networks.weights import DEFAULT_WEIGHTS

_VERSION = 1
"""Of what a job does; rows of another version are other jobs'."""


class _Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    labels: Labels
    epochs: int
    seed: int
    weights: str = str(DEFAULT_WEIGHTS)
    weights_sha256: str = ""

    @property
    def key(self) -> str:
        """16 hexadecimal digits."""
        told = msgspec.json.encode((_VERSION, type(self).__name__, self), order="deterministic")
        return hashlib.sha256(told).hexdigest()[:16]


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


class ClipsJob(_Job, frozen=True, kw_only=True, tag="clips"):
    """One recording: a clip of each camera."""

    left: str
    right: str

    @property
    def name(self) -> str:
        return f"{self.left} {self.right}"


Job = PairJob | ClipsJob


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job; what does not apply to its kind, or was not reached, is None."""

    key: str
    name: str
    labels: str
    job: str
    """As JSON."""
    seconds: float
    error: str | None = None
    """Why there are no figures, in a sentence."""
    note: str | None = None
    setup: int | None = None
    pair: str | None = None
    pairs: int | None = None
    """That were learnt from."""
    tested: int | None = None
    """That were judged by."""
    mono_before_mm: float | None = None
    mono_after_mm: float | None = None
    dual_before_mm: float | None = None
    """Merged through the rotation that the network's own hands told."""
    dual_before_placed_mm: float | None = None
    """Merged through the rotation that is used afterwards."""
    dual_after_mm: float | None = None
    rotation_before_deg: float | None = None
    rotation_after_deg: float | None = None
    own_rotation_after_deg: float | None = None
    off_before: float | None = None
    """Of a recording, which has no truth: distance from the geometry's hands that were held out, hands."""
    off_after: float | None = None
    saved: bool | None = None
    """Of a recording: whether what was learnt was better and kept."""


class Worker:
    """Does jobs one after the other; models and annotations are loaded once. Lives in a process of its own."""

    def __init__(self, keep: str | None = None):
        """`keep`: folder that adapted weights go to, each in a folder of its key; None keeps none."""
        from adapt.datasets.models import Models

        self._keep, self._models = keep, Models()

    def __call__(self, job: Job) -> Row:
        """Never raises for what is wrong with a job: that becomes its row's error."""
        start = perf_counter()
        try:
            # What a run says, its row says.
            with self._folder(job) as folder, redirect_stdout(io.StringIO()):
                told = _run_pair(job, folder, self._models) if isinstance(job, PairJob) else _run_clips(job, folder)
        except UserError as error:
            told = {"error": str(error)}
        except Exception as error:
            # A sweep of a million goes on; what is wrong with this one stands in its row.
            told = {"error": f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"}
        return row_of(job, perf_counter() - start, **told)

    @contextmanager
    def _folder(self, job: Job) -> Iterator[Path]:
        if self._keep is not None:
            yield Path(self._keep) / job.key
        else:
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder)


def row_of(job: Job, seconds: float, **told: object) -> Row:
    """A job's row with what is `told` of it."""
    if isinstance(job, PairJob):
        told = {"setup": job.setup, "pair": job.pair, **told}
    encoded = msgspec.json.encode(job, order="deterministic").decode()
    given = {"key": job.key, "name": job.name, "labels": _labels(job), "job": encoded, "seconds": seconds, **told}
    return msgspec.convert(given, Row)


def recording_job(line: str, settings: dict[str, object]) -> Job | None:
    """The job of a line of a list of recordings; None for an empty line or a remark.

    A line names a left and a right clip, a tab or spaces between them. Raises UserError for another line; recordings of one
    file will come in here.
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


def _labels(job: Job) -> str:
    return "faithful" if isinstance(job, PairJob) and job.faithful else job.labels


def _run_pair(job: PairJob, folder: Path, models: object) -> dict[str, object]:
    from adapt.datasets.models import Models
    from adapt.datasets.published_options import Settings
    from adapt.datasets.run import adapt

    assert isinstance(models, Models)
    settings = Settings(
        datasets_train=(job.data,),
        setup=job.setup,
        pair=job.pair,
        pic=job.pic,
        test_pic=job.test_pic,
        held_out=job.held_out,
        faithful=job.faithful,
        rotations=Path(job.rotations) if job.rotations else None,
        labels=None if job.faithful else job.labels,
        learning_rate=None if job.faithful else job.rate,
        rehearse=0.0 if job.faithful else job.rehearse,
        epochs=job.epochs,
        seed=job.seed,
        weights=Path(job.weights),
        checkpoint=folder,
        keep="last",
    )
    outcome = adapt(settings, models=models)
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


def _run_clips(job: ClipsJob, folder: Path) -> dict[str, object]:
    from adapt.offline.adapt_recording import Settings, label_error, learn, watch
    from runtime.networks.weights import load_network

    settings = Settings(
        folder,
        left=Path(job.left),
        right=Path(job.right),
        labels=job.labels,
        epochs=job.epochs,
        seed=job.seed,
        weights=Path(job.weights),
        device="cpu",
    )
    network, manifest = load_network(settings.weights)
    geometry, material, held_out = watch(settings, manifest.crop_size)
    before = label_error(network, manifest, held_out)
    saved = learn(settings, geometry, material, held_out)
    after = label_error(*load_network(folder / "weights.safetensors"), held_out) if saved else before
    return {
        "pairs": len(material.pairs),
        "tested": len(held_out.pairs),
        "off_before": before.joints,
        "off_after": after.joints,
        "saved": saved,
    }
