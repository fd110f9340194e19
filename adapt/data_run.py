"""Adapts a network to one camera pair of a data set, without labels, and tests it after every epoch.

The network looks at the pairs; the cameras' places follow from what it sees; so do the labels; then it learns. The annotation's
joints are read by `adapt.data_scores` alone, which judges and changes nothing.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from tqdm import tqdm

from adapt.assembly_hands import AssemblyHands, HandPairs
from adapt.data_geometry import Labeller, Places, find_places
from adapt.data_looks import LookedAt, crops_of, look_at, rotation_of
from adapt.data_scores import Answers, TrueHands, answers
from adapt.labels import LabelledPair
from adapt.material import Material, Shown
from adapt.metrics import PairScores
from adapt.pairs import CropPairs
from adapt.progress import load_progress, progress_at, save_progress
from adapt.published_options import Settings
from adapt.session import Adaptation, Labels
from adapt.targets import Taught
from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.errors import UserError
from runtime.engine import TorchEngine
from runtime.merge import MergeRule
from runtime.network import HandNetwork
from runtime.weights import Manifest, load_network, save_network

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


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What is learnt from, and how."""

    pairs: CropPairs
    taught: PerView[Taught] | None
    labels: Labels
    R_right_from_left: np.ndarray | None
    """(3, 3) that is kept; None where each batch tells a little of it."""


def adapt(settings: Settings, say: Say = print) -> Outcome:
    """Adapt, test after every epoch, and keep the weights. Raises UserError for what cannot be done."""
    settings.check()
    device, note = settings.device()
    say(note)
    # How a sum is shared out among threads shows in its last digits.
    torch.set_num_threads(settings.threads)
    kept = progress_at(_progress(settings)) if settings.resume else None
    goes_on = kept is not None and kept[0] == settings.evaluate_id == settings.start_epoch - 1
    source = kept[1] if kept is not None and goes_on else settings.source()
    network, manifest = load_network(source)
    hands = AssemblyHands(settings.data("train"), settings.split, settings.cache)
    train, test = _pairs(settings, hands)
    engine = TorchEngine(deepcopy(network), manifest, threads=settings.threads, device=str(device))
    looked = look_at(engine, train, range(_count(settings.pic, train)), "looking at pairs to adapt to")
    true = TrueHands.of(_looked_at_test(settings, engine, test, looked, train), test)
    network = network.to(device)
    first = rotation_of(looked)
    lesson, note = _lesson(settings, manifest, looked, train)
    say(note)
    recipe = settings.recipe
    session = Adaptation(network, manifest, recipe, R_right_from_left=lesson.R_right_from_left, device=device)
    if goes_on:
        load_progress(session, _progress(settings))
    judge = _Judge(settings, manifest, true)
    told = answers(network, manifest, true.pairs)
    before = judge.scores(told, first)
    say(before.line(0, settings.setup, settings.cameras))
    after = before
    for epoch in range(settings.start_epoch, settings.start_epoch + settings.epochs):
        _learn(session, lesson, settings, epoch)
        _keep(session, settings, epoch, source)
        told = answers(session.teacher, manifest, true.pairs)
        after = judge.scores(told, judge.rotation(session, lesson))
        say(after.line(epoch, settings.setup, settings.cameras))
    in_use = judge.rotation(session, lesson) if session.R_right_from_left is not None else first
    outcome = Outcome(
        settings.name,
        len(lesson.pairs),
        settings.epochs,
        before,
        judge.scores(answers(network, manifest, true.pairs), in_use),
        after,
        true.off_deg(first),
        true.off_deg(in_use),
        true.off_deg(told.rotation()),
        note,
    )
    say(summary(outcome))
    return outcome


def evaluate(settings: Settings, say: Say = print) -> PairScores:
    """Test a network, and change nothing. Raises UserError for what cannot be done."""
    settings.check()
    device, note = settings.device()
    say(note)
    torch.set_num_threads(settings.threads)
    network, manifest = load_network(settings.source())
    _, test = _pairs(settings, AssemblyHands(settings.data("test"), settings.split, settings.cache))
    engine = TorchEngine(deepcopy(network), manifest, threads=settings.threads, device=str(device))
    numbers = _spread(range(_count(settings.pic, test)), settings.test_pic)
    looked = look_at(engine, test, numbers, "looking at pairs to test on")
    true = TrueHands.of(looked, test)
    told = answers(network.to(device), manifest, true.pairs)
    places, note = (None, "as published") if settings.faithful else find_places(looked)
    table = _of_table(settings)
    rotation = table if table is not None else told.rotation() if places is None else places.R_right_from_left
    scores = _Judge(settings, manifest, true).scores(told, rotation)
    say(scores.line(settings.evaluate_id or 0, settings.setup, settings.cameras))
    say(f"the cameras' rotation is {true.off_deg(rotation):.1f} deg off the true one ({note})")
    return scores


def summary(outcome: Outcome) -> str:
    """What changed, in a line."""
    before, after = outcome.before, outcome.after
    return (
        f"{outcome.name}: Mono-M {before.mono_m:.2f} -> {after.mono_m:.2f} mm ({change(before.mono_m, after.mono_m):+.1f} %), Dual-M "
        f"{before.dual_m:.2f} -> {after.dual_m:.2f} mm ({change(before.dual_m, after.dual_m):+.1f} %); rotation "
        f"{outcome.rotation_before_deg:.1f} -> {outcome.rotation_after_deg:.1f} deg off the true one, by the network's own hands "
        f"{outcome.own_rotation_after_deg:.1f}"
    )


def change(before: float, after: float) -> float:
    """In %."""
    return 100 * (after / before - 1)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Scores what a network says as the settings ask for."""

    settings: Settings
    manifest: Manifest
    true: TrueHands

    def scores(self, told: Answers, R_right_from_left: np.ndarray) -> PairScores:
        rule: MergeRule = "mean" if self.settings.faithful else "softmax"
        root = self.manifest.root if self.settings.root_idx is None else self.settings.root_idx
        return self.true.scores(told, R_right_from_left, root, rule)

    def rotation(self, session: Adaptation, lesson: _Lesson) -> np.ndarray:
        """(3, 3) that hands are merged through: the published evaluation's is that of its table throughout."""
        table = _of_table(self.settings)
        rotation = session.R_right_from_left if table is None else table
        assert rotation is not None, "nothing was learnt yet"
        return rotation


def _pairs(settings: Settings, hands: AssemblyHands) -> tuple[HandPairs, HandPairs]:
    """Those to adapt to and those to test on."""
    train = hands.pairs(settings.setup, settings.cameras)
    if settings.data("test") == hands.root:
        return train, train
    return train, AssemblyHands(settings.data("test"), settings.split, settings.cache).pairs(settings.setup, settings.cameras)


def _count(pic: int, pairs: HandPairs) -> int:
    return len(pairs) if pic < 0 else min(pic, len(pairs))


def _spread(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly chosen."""
    if most < 0 or len(numbers) <= most:
        return list(numbers)
    return [numbers[i] for i in np.linspace(0, len(numbers) - 1, most).round().astype(int)]


def _looked_at_test(
    settings: Settings, engine: TorchEngine, test: HandPairs, looked: list[LookedAt], train: HandPairs
) -> list[LookedAt]:
    """The test's hands; those that were looked at before are not looked at again."""
    known = {one.number: one for one in looked} if test is train else {}
    numbers = [number for number in range(len(test)) if not (settings.held_out and number in known)]
    if not numbers:
        raise UserError(f"--held_out leaves nothing to test on: --pic {settings.pic} takes all {len(test)} pairs; give fewer")
    numbers = _spread(numbers, settings.test_pic)
    new = look_at(engine, test, [number for number in numbers if number not in known], "looking at pairs to test on")
    found = known | {one.number: one for one in new}
    return [found[number] for number in numbers]


def _lesson(settings: Settings, manifest: Manifest, looked: list[LookedAt], train: HandPairs) -> tuple[_Lesson, str]:
    """What there is to learn, and how the cameras were found, in words."""
    labels = settings.taught
    if settings.faithful:
        table = _of_table(settings)
        note = "the rotation is told by the first batch" if table is None else f"the rotation is that of {settings.rotations}"
        return _Lesson(crops_of(looked), None, "s2dhand", table), note
    places, note = find_places(looked)
    if places is None:
        if labels == "geometry":
            raise UserError(f"the cameras' places are not sure ({note}): give more pairs with --pic, or --labels s2dhand")
        told = f"the cameras' places are not sure ({note}): the network's own hands tell the rotation, and s2dhand teaches alone"
        return _Lesson(crops_of(looked), None, "s2dhand", None), told
    material = _material(places, looked, train, manifest.crop_size)
    told = f"cameras found to +- {places.uncertainty_deg:.1f} deg from {note}; {len(material.pairs):,} of {len(looked):,} pairs teach"
    return _Lesson(material.pairs, material.taught, labels, places.R_right_from_left), told


def _material(places: Places, looked: list[LookedAt], pairs: HandPairs, crop_size: int) -> Material:
    """Crops of the hands where the cameras' places have them, and what those teach. Raises UserError where none does."""
    labeller = Labeller(places)
    shown: list[Shown] = []
    for one in tqdm(looked, desc="cutting out", unit="pair"):
        labels = labeller(one)
        if labels is not None:
            true = pairs[one.number]

            def frame(view: View, true=true, one=one) -> Frame:
                return Frame(view, one.number, one.number, one.number, true.hands[view].read())

            shown.append(Shown.cut(LabelledPair(FramePair(frame("left"), frame("right")), labels), crop_size))
    if not shown:
        raise UserError("no pair shows both views one hand where the cameras have it: give more pairs with --pic")
    return Material.of(shown)


def _of_table(settings: Settings) -> np.ndarray | None:
    """(3, 3) the published estimate of the pair's rotation, from the table that was given. Raises UserError."""
    if settings.rotations is None:
        return None
    a, b = settings.cameras
    try:
        table = msgspec.json.decode(settings.rotations.read_bytes())
        row_vector_R = table[f"headset_{settings.setup}"][f"{a}-{b}"]["published_estimate_row_vector_R"]
        # It is for row vectors.
        return np.asarray(row_vector_R, float).reshape(3, 3).T
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"--rotations {settings.rotations} has no rotation of headset {settings.setup}, cameras {a} and {b} ({error}): expected "
            'JSON such as {"headset_0": {"0-1": {"published_estimate_row_vector_R": [[3 numbers], ...]}}}'
        ) from error


def _learn(session: Adaptation, lesson: _Lesson, settings: Settings, epoch: int) -> None:
    """One epoch."""
    order = torch.Generator().manual_seed(settings.seed * 10_007 + epoch)
    fixed = None if settings.faithful else lesson.R_right_from_left
    with tqdm(total=len(lesson.pairs), unit="pair", desc=f"epoch {epoch}", leave=False) as bar:
        for rows in torch.randperm(len(lesson.pairs), generator=order).split(settings.batch):
            taught = lesson.taught and lesson.taught.map(lambda view, rows=rows: view.rows(rows))
            figures = session.step(lesson.pairs.rows(rows), fixed, labels=lesson.labels, taught=taught)
            bar.set_postfix(loss=f"{figures.loss:.3f}", apart=f"{figures.apart:.3f}", refresh=False)
            bar.update(len(rows))


def _keep(session: Adaptation, settings: Settings, epoch: int, source: Path) -> None:
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
    save_progress(session, _progress(settings), epoch, source)


def _progress(settings: Settings) -> Path:
    return settings.folder / "progress.safetensors"
