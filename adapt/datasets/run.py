"""Adapts a network to one camera pair of a data set, without labels, and tests it after every epoch.

The network looks at the pairs; the cameras' places follow from what it sees; so do the labels; then it learns. The annotation's
joints are read by `adapt.datasets.scores` alone, which judges and changes nothing.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from tqdm import tqdm

from adapt.core.checkpoint import load_progress, progress_at, save_progress
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.metrics import PairScores
from adapt.core.rehearsal import Rehearsal
from adapt.datasets.assembly_hands import HandPairs
from adapt.datasets.geometry import calibrate_dataset
from adapt.datasets.models import Models
from adapt.datasets.predictions import DatasetPredictions, predict_pairs, rotation_of
from adapt.datasets.published_options import Settings
from adapt.datasets.samples import DatasetSamples, dataset_samples, rotation_in_table
from adapt.datasets.scores import TrueHands
from hand.errors import UserError
from runtime.engines.torch_engine import TorchEngine
from runtime.fusion.merge import MergeRule
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, save_network

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Rotations are told in degrees from the true one; nothing was learnt from that."""

    name: str
    """Headset and pair, such as set0-1,2."""
    pairs: int
    """That were learnt from."""
    epochs: int
    before: PairScores
    """Merged through the rotation that the network's own hands told."""
    before_placed: PairScores
    """The same hands, merged through the rotation that is used afterwards."""
    after: PairScores
    rotation_before_deg: float
    rotation_after_deg: float
    own_rotation_after_deg: float
    """Of the rotation that the network's own hands then tell."""
    note: str
    """How the cameras were found."""


def adapt(settings: Settings, say: Say = print, models: Models | None = None) -> Outcome:
    """Adapt, test after every epoch, and keep the weights. Raises UserError for what cannot be done."""
    models = models or Models()
    device = _begin(settings, say)
    source, goes_on = _source(settings)
    network, manifest = models.network(source)
    train = _pairs(settings, models, "train")
    numbers = range(_count(settings.pic, train))
    judge = _Judge.of(settings, manifest, device, _pairs(settings, models, "test"), numbers)
    looked, tested = models.looked(
        (source, source.stat().st_mtime_ns, settings.data("train"), settings.split, settings.name, numbers, judge.numbers),
        lambda: judge.look_first(network, train, numbers),
    )
    lesson, note = dataset_samples(settings, manifest, looked, train)
    say(note)
    rehearsal = None
    if settings.rehearse:
        bank = models.bank(manifest.crop_size, settings.seed)
        rehearsal = Rehearsal(bank, settings.rehearse, settings.seed, device, spectra=True)
    session = MeanTeacher(
        network, manifest, settings.recipe, R_right_from_left=lesson.R_right_from_left, device=device, rehearsal=rehearsal
    )
    if goes_on:
        load_progress(session, _progress(settings))
    own = rotation_of(looked)
    now, before = tested, judge.scores(tested, own)
    after = before
    say(before.line(0, settings.setup, settings.cameras))
    last = settings.start_epoch + settings.epochs - 1
    for epoch in range(settings.start_epoch, last + 1):
        _learn(session, lesson, settings, epoch)
        if settings.keep == "all" or epoch == last:
            _keep(session, settings, epoch, source)
            now = judge.look(session.teacher)
            after = judge.scores(now, judge.rotation(session))
            say(after.line(epoch, settings.setup, settings.cameras))
    in_use = own if session.R_right_from_left is None else judge.rotation(session)
    outcome = Outcome(
        name=settings.name,
        pairs=len(lesson.pairs),
        epochs=settings.epochs,
        before=before,
        before_placed=judge.scores(tested, in_use),
        after=after,
        rotation_before_deg=judge.true.off_deg(own),
        rotation_after_deg=judge.true.off_deg(in_use),
        own_rotation_after_deg=judge.true.off_deg(rotation_of(now)),
        note=note,
    )
    say(summary(outcome))
    return outcome


def evaluate(settings: Settings, say: Say = print, models: Models | None = None) -> PairScores:
    """Test a network, and change nothing. Raises UserError for what cannot be done."""
    models = models or Models()
    device = _begin(settings, say)
    network, manifest = models.network(settings.source())
    test = _pairs(settings, models, "test")
    judge = _Judge.of(settings, manifest, device, test[: _count(settings.pic, test)], ())
    looked = judge.look(network)
    places, note = (None, "as published") if settings.faithful else calibrate_dataset(looked)
    table = rotation_in_table(settings)
    rotation = table if table is not None else rotation_of(looked) if places is None else places.R_right_from_left
    scores = judge.scores(looked, rotation)
    say(scores.line(settings.evaluate_id or 0, settings.setup, settings.cameras))
    say(f"the cameras' rotation is {judge.true.off_deg(rotation):.1f} deg off the true one ({note})")
    return scores


def summary(outcome: Outcome) -> str:
    """What changed, in a line."""
    before, after = outcome.before, outcome.after
    return (
        f"{outcome.name}: Mono-M {before.mono_m:.2f} -> {after.mono_m:.2f} mm ({change(before.mono_m, after.mono_m):+.1f} %), "
        f"Dual-M {before.dual_m:.2f} -> {after.dual_m:.2f} mm ({change(before.dual_m, after.dual_m):+.1f} %); rotation "
        f"{outcome.rotation_before_deg:.1f} -> {outcome.rotation_after_deg:.1f} deg off the true one, by the network's own hands "
        f"{outcome.own_rotation_after_deg:.1f}"
    )


def change(before: float, after: float) -> float:
    """In %."""
    return 100 * (after / before - 1)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Tests a network as the settings ask for."""

    settings: Settings
    manifest: Manifest
    device: torch.device
    test: HandPairs
    true: TrueHands

    @classmethod
    def of(cls, settings: Settings, manifest: Manifest, device: torch.device, test: HandPairs, learnt: Sequence[int]) -> "_Judge":
        """On `test` but for the pairs that are `learnt`, where those are to be left out."""
        left_out = set(learnt) if settings.held_out and settings.data("train") == settings.data("test") else set()
        numbers = [number for number in range(len(test)) if number not in left_out]
        if not numbers:
            raise UserError(f"--held_out leaves nothing to test on: --pic {settings.pic} takes all {len(test)} pairs; give fewer")
        return cls(settings, manifest, device, test, TrueHands.of(test, _spread(numbers, settings.test_pic)))

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.true.numbers

    def look(self, network: HandNetwork) -> list[DatasetPredictions]:
        """What a network sees of the hands to test on."""
        return predict_pairs(self._engine(network), self.test, self.numbers, "looking at pairs to test on")

    def look_first(
        self, network: HandNetwork, train: HandPairs, numbers: Sequence[int]
    ) -> tuple[list[DatasetPredictions], list[DatasetPredictions]]:
        """What it sees, before it has learnt, of the pairs to adapt to and of those to test on."""
        return predict_pairs(self._engine(network), train, numbers, "looking at pairs to adapt to"), self.look(network)

    def scores(self, looked: Sequence[DatasetPredictions], R_right_from_left: np.ndarray) -> PairScores:
        rule: MergeRule = "mean" if self.settings.faithful else "softmax"
        root = self.manifest.root if self.settings.root_idx is None else self.settings.root_idx
        return self.true.scores(looked, R_right_from_left, root, rule)

    def rotation(self, session: MeanTeacher) -> np.ndarray:
        """(3, 3) that hands are merged through: the published evaluation's is that of its table throughout."""
        table = rotation_in_table(self.settings)
        rotation = session.R_right_from_left if table is None else table
        assert rotation is not None, "nothing was learnt yet"
        return rotation

    def _engine(self, network: HandNetwork) -> TorchEngine:
        # The engine folds what it is given.
        return TorchEngine(deepcopy(network), self.manifest, threads=self.settings.threads, device=str(self.device))


def _begin(settings: Settings, say: Say) -> torch.device:
    settings.check()
    device, note = settings.device()
    say(note)
    # How a sum is shared out among threads shows in its last digits.
    torch.set_num_threads(settings.threads)
    return device


def _source(settings: Settings) -> tuple[Path, bool]:
    """The weights that it begins with, and whether it goes on where an epoch ended."""
    kept = progress_at(_progress(settings)) if settings.resume else None
    if kept is not None and kept[0] == settings.evaluate_id == settings.start_epoch - 1:
        return kept[1], True
    return settings.source(), False


def _pairs(settings: Settings, models: Models, which: Literal["train", "test"]) -> HandPairs:
    return models.hands(settings.data(which), settings.split, settings.cache).pairs(settings.setup, settings.cameras)


def _count(pic: int, pairs: HandPairs) -> int:
    return len(pairs) if pic < 0 else min(pic, len(pairs))


def _spread(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly chosen."""
    if most < 0 or len(numbers) <= most:
        return list(numbers)
    return [numbers[i] for i in np.linspace(0, len(numbers) - 1, most).round().astype(int)]


def _learn(session: MeanTeacher, lesson: DatasetSamples, settings: Settings, epoch: int) -> None:
    """One epoch."""
    order = torch.Generator().manual_seed(settings.seed * 10_007 + epoch)
    fixed = None if settings.faithful else lesson.R_right_from_left
    with tqdm(total=len(lesson.pairs), unit="pair", desc=f"epoch {epoch}", leave=False) as bar:
        for rows in torch.randperm(len(lesson.pairs), generator=order).split(settings.batch):
            taught = lesson.taught and lesson.taught.map(lambda view, rows=rows: view.rows(rows))
            figures = session.step(lesson.pairs.rows(rows), fixed, labels=lesson.labels, taught=taught)
            bar.set_postfix(loss=f"{figures.loss:.3f}", apart=f"{figures.apart:.3f}", refresh=False)
            bar.update(len(rows))


def _keep(session: MeanTeacher, settings: Settings, epoch: int, source: Path) -> None:
    """Write the weights of an epoch, and what going on needs."""
    manifest = session.manifest
    told = f"{manifest.training_data}; adapted to {settings.name} of {settings.data('train').name} by {settings.taught}"
    try:
        # What was measured of the network before is no longer true of it.
        save_network(
            settings.weights_of(epoch), session.teacher, msgspec.structs.replace(manifest, training_data=told, accuracy={})
        )
    except OSError as error:
        raise UserError(f"cannot write to {settings.folder} ({error.strerror}): give another --checkpoint folder") from error
    if settings.keep == "all":
        save_progress(session, _progress(settings), epoch, source)


def _progress(settings: Settings) -> Path:
    return settings.folder / "progress.safetensors"
