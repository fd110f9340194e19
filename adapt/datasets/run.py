"""Adapts a network to one camera pair of a data set, without labels, and tests it after every epoch.

The cameras are calibrated on the network's predictions, which gives pseudo-labels to train on. The annotated joints are read by
`adapt.datasets.scores` alone, for the scores. Results are printed in the published form.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from tqdm import tqdm

from adapt.core.checkpoint import load_progress, progress_at, save_progress
from adapt.core.learner import learner_of, rehearsal_of, with_inputs
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.metrics import PairScores
from adapt.datasets.assembly_hands import HandPairs
from adapt.datasets.geometry import calibrate_dataset
from adapt.datasets.models import Models
from adapt.datasets.predictions import DatasetPredictions, predict_pairs, rotation_of
from adapt.datasets.published_options import Settings
from adapt.datasets.samples import DatasetSamples, dataset_samples, rotation_in_table
from adapt.datasets.scores import TrueHands
from hand.errors import UserError
from hand.outputs import ProgramFiles, with_manifest
from runtime.engines.engine import Engine
from runtime.estimators.adaptable_networks import adaptable_engine
from runtime.estimators.framing import Framing
from runtime.fusion.merge import MergeRule
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, save_network


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of an adaptation. Rotation errors are against the true rotation, which is used for nothing else."""

    name: str
    """Headset and pair, such as set0-1,2."""
    pairs: int
    """Pairs trained on."""
    epochs: int
    before: PairScores
    """Merged through the rotation that follows from the network's own predictions."""
    before_placed: PairScores
    """The same hands, merged through the rotation that is used afterwards."""
    after: PairScores
    rotation_before_deg: float
    rotation_after_deg: float
    own_rotation_after_deg: float
    """Of the rotation that the network's own hands then tell."""
    note: str
    """How the cameras were found."""


def adapt(settings: Settings, models: Models | None = None) -> Outcome:
    """Adapt, test after every epoch, and save the weights. Raises UserError for what cannot be done."""
    models = models or Models()
    device = _begin(settings)
    source, resumes = _source(settings)
    last = settings.start_epoch + settings.epochs - 1
    epochs = range(settings.start_epoch, last + 1)
    files = ProgramFiles().reads("-eid", *with_manifest(source)).fills("--checkpoint", settings.folder)
    for epoch in epochs if settings.keep == "all" else epochs[-1:]:
        files.continues("--checkpoint", *with_manifest(settings.weights_of(epoch)))
    files.check()
    network, manifest = models.network(settings.estimator, source)
    train = _pairs(settings, models, "train")
    numbers = range(_count(settings.pic, train))
    evaluation = _Evaluation.of(settings, manifest, device, _pairs(settings, models, "test"), numbers)
    predictions, tested = models.predictions(
        (source, source.stat().st_mtime_ns, settings.data("train"), settings.split, settings.name, numbers, evaluation.numbers),
        lambda: evaluation.predict_both(network, train, numbers),
    )
    samples, note = dataset_samples(settings, manifest, predictions, train)
    print(note)
    rehearsal = None
    if settings.rehearse:
        bank = models.bank(manifest.crop_size, Framing.of(manifest), settings.seed)
        # Pictures that are not kept cannot change.
        spectra = not learner_of(network).keeps_inputs
        how = {"spectra": spectra, "recipe": settings.recipe}
        rehearsal = rehearsal_of(network, bank, settings.rehearse, settings.seed, device, **how)
    samples = replace(samples, pairs=with_inputs(network, samples.pairs, settings.recipe))
    session = MeanTeacher(
        network, manifest, settings.recipe, R_right_from_left=samples.R_right_from_left, device=device, rehearsal=rehearsal
    )
    if resumes:
        load_progress(session, _progress(settings))
    own = rotation_of(predictions)
    now, before = tested, evaluation.scores(tested, own)
    after = before
    print(before.line(0, settings.setup, settings.cameras))
    for epoch in epochs:
        _train_epoch(session, samples, settings, epoch)
        if settings.keep == "all" or epoch == last:
            _save(session, settings, epoch, source)
            now = evaluation.predict(session.teacher)
            after = evaluation.scores(now, evaluation.rotation(session))
            print(after.line(epoch, settings.setup, settings.cameras))
    in_use = own if session.R_right_from_left is None else evaluation.rotation(session)
    outcome = Outcome(
        name=settings.name,
        pairs=len(samples.pairs),
        epochs=settings.epochs,
        before=before,
        before_placed=evaluation.scores(tested, in_use),
        after=after,
        rotation_before_deg=evaluation.true.off_deg(own),
        rotation_after_deg=evaluation.true.off_deg(in_use),
        own_rotation_after_deg=evaluation.true.off_deg(rotation_of(now)),
        note=note,
    )
    print(summary(outcome))
    return outcome


def evaluate(settings: Settings, models: Models | None = None) -> PairScores:
    """Test a network, and change nothing. Raises UserError for what cannot be done."""
    models = models or Models()
    device = _begin(settings)
    network, manifest = models.network(settings.estimator, settings.source())
    test = _pairs(settings, models, "test")
    evaluation = _Evaluation.of(settings, manifest, device, test[: _count(settings.pic, test)], ())
    predictions = evaluation.predict(network)
    cameras, note = (None, "as published") if settings.faithful else calibrate_dataset(predictions)
    table = rotation_in_table(settings)
    rotation = table if table is not None else rotation_of(predictions) if cameras is None else cameras.R_right_from_left
    scores = evaluation.scores(predictions, rotation)
    print(scores.line(settings.evaluate_id or 0, settings.setup, settings.cameras))
    print(f"the cameras' rotation is {evaluation.true.off_deg(rotation):.1f} deg off the true one ({note})")
    return scores


def summary(outcome: Outcome) -> str:
    """The result in a line."""
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
class _Evaluation:
    """The test that the settings ask for."""

    settings: Settings
    manifest: Manifest
    device: torch.device
    test: HandPairs
    true: TrueHands

    @classmethod
    def of(
        cls, settings: Settings, manifest: Manifest, device: torch.device, test: HandPairs, trained: Sequence[int]
    ) -> "_Evaluation":
        """On `test` without the pairs that are `trained` on, where the settings hold those out."""
        left_out = set(trained) if settings.held_out and settings.data("train") == settings.data("test") else set()
        numbers = [number for number in range(len(test)) if number not in left_out]
        if not numbers:
            raise UserError(f"--held_out leaves nothing to test on: --pic {settings.pic} takes all {len(test)} pairs; give fewer")
        return cls(settings, manifest, device, test, TrueHands.of(test, _spread(numbers, settings.test_pic)))

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.true.numbers

    def predict(self, network: HandNetwork) -> list[DatasetPredictions]:
        """A network's predictions for the pairs to test on."""
        return predict_pairs(self._engine(network), self.test, self.numbers, "looking at pairs to test on")

    def predict_both(
        self, network: HandNetwork, train: HandPairs, numbers: Sequence[int]
    ) -> tuple[list[DatasetPredictions], list[DatasetPredictions]]:
        """Its predictions for the pairs to adapt to, and for those to test on."""
        return predict_pairs(self._engine(network), train, numbers, "looking at pairs to adapt to"), self.predict(network)

    def scores(self, predictions: Sequence[DatasetPredictions], R_right_from_left: np.ndarray) -> PairScores:
        rule: MergeRule = "mean" if self.settings.faithful else "softmax"
        root = self.manifest.root if self.settings.root_idx is None else self.settings.root_idx
        return self.true.scores(predictions, R_right_from_left, root, rule)

    def rotation(self, session: MeanTeacher) -> np.ndarray:
        """(3, 3) that hands are merged through: the published evaluation's is that of its table throughout."""
        table = rotation_in_table(self.settings)
        rotation = session.R_right_from_left if table is None else table
        assert rotation is not None, "no step was taken yet"
        return rotation

    def _engine(self, network: HandNetwork) -> Engine:
        # The engine folds what it is given.
        return adaptable_engine(deepcopy(network), self.manifest, self.settings.threads, self.device)


def _begin(settings: Settings) -> torch.device:
    settings.check()
    device, note = settings.device()
    print(note)
    # How a sum is shared out among threads shows in its last digits.
    torch.set_num_threads(settings.threads)
    return device


def _source(settings: Settings) -> tuple[Path, bool]:
    """The weights to start from, and whether training resumes from a checkpoint."""
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


def _train_epoch(session: MeanTeacher, samples: DatasetSamples, settings: Settings, epoch: int) -> None:
    """Train for one epoch."""
    order = torch.Generator().manual_seed(settings.seed * 10_007 + epoch)
    fixed = None if settings.faithful else samples.R_right_from_left
    with tqdm(total=len(samples.pairs), unit="pair", desc=f"epoch {epoch}", leave=False) as bar:
        for rows in torch.randperm(len(samples.pairs), generator=order).split(settings.batch):
            geometry_labels = samples.geometry_labels and samples.geometry_labels.map(lambda view, rows=rows: view.rows(rows))
            figures = session.step(samples.pairs.rows(rows), fixed, labels=samples.label_source, geometry_labels=geometry_labels)
            bar.set_postfix(loss=f"{figures.loss:.3f}", apart=f"{figures.apart:.3f}", refresh=False)
            bar.update(len(rows))


def _save(session: MeanTeacher, settings: Settings, epoch: int, source: Path) -> None:
    """Write the weights of an epoch, and a checkpoint."""
    manifest = session.manifest
    training_data = (
        f"{manifest.training_data}; adapted to {settings.name} of {settings.data('train').name} by {settings.label_source}"
    )
    # The network's accuracy was measured before the adaptation.
    save_network(
        settings.weights_of(epoch),
        session.teacher,
        msgspec.structs.replace(manifest, training_data=training_data, accuracy={}),
    )
    if settings.keep == "all":
        save_progress(session, _progress(settings), epoch, source)


def _progress(settings: Settings) -> Path:
    return settings.folder / "progress.safetensors"
