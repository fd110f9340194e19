"""How well the guard of live adaptation tells better networks from worse: `python -m tools.evaluate.promotion --scenes 6`.

Drawn streams with truth: new cameras, people of a hand that training never drew, new motion. The shipped network adapts to each
rightly, and in ways that must harm it: through a rotation that is wrong, from a teacher that was poisoned, from pairs whose
views are of different times, of different hands, with one camera covered, from one hand that stands still, too fast. After some
steps the guard's evidence on hands held out is set against how much nearer to the truth the network really came.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
import tyro
from tqdm import tqdm

from adapt.core.crop_pairs import CropPairs
from adapt.core.geometry_teacher import label_recording
from adapt.core.mean_teacher import MeanTeacher
from adapt.core.targets import GeometryLabelBatch, LabelSource, Recipe
from adapt.core.training_samples import TrainingSample, TrainingSet
from adapt.online.promotion import decide_promotion
from adapt.online.status_text import decision_text
from adapt.online.validation import ValidationMetrics, ValidationPredictions, predict_samples, synthetic_error, validate
from capture.views import PerView
from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.model import FOREIGN_ASSET, HandModel
from hand.rotations import from_vector
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.calibration.self_calibrator import CalibrationState, mean_bone_lengths
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.estimator import FollowSettings
from runtime.estimators.locator import load_locator
from runtime.geometry.two_view import TwoViewGeometry
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network
from tools.evaluate.held_out_hands import FOREIGN_TEXTURE
from tools.evaluate.synthetic_stream import SyntheticStream, render_stream
from tools.evaluate.two_views import sample_rig

STRETCH, HELD_OUT_EVERY = 8, 4
"""Pairs are held out by stretches of so many in a row, one stretch in so many."""
LEAST_HELD_OUT = 16
ROTATION_DEG, BASELINE_DEG, FOCAL_SHARE = 1.0, 1.5, 0.03
"""How far off cameras are that have calibrated themselves, about as tools.evaluate.geometry finds them."""
DRAWN_SEED = 4_000_000
"""Hands that stand for what must not be forgotten are drawn from here."""


@dataclass
class Settings:
    """Judge the guard of live adaptation."""

    scenes: int = 6
    seconds: float = 14.0
    fps: float = 15.0
    steps: tuple[int, ...] = (4, 12, 32)
    """After so many steps each way of adapting is judged."""
    batch: int = 8
    seed: int = 0
    weights: Path = DEFAULT_WEIGHTS
    json: Path | None = None
    """Write every judgement to this file."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What one stream gave to learn from and to be judged by."""

    stream: SyntheticStream
    geometry: TwoViewGeometry
    """As cameras find it: not quite true."""
    learnt: TrainingSet
    held_out: TrainingSet
    truth: PerView[np.ndarray]
    """(N, 21, 3) true unit hands of what is held out, each camera's axes."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to adapt."""

    name: str
    harms: bool
    labels: LabelSource
    turned_deg: float = 0.0
    """By how much the rotation in use is wrong."""
    change: Callable[[TrainingSet, np.random.Generator], TrainingSet] = lambda material, rng: material
    rate: float = Recipe().rate


@dataclass(frozen=True, slots=True)
class Row:
    """One judgement."""

    scene: int
    way: str
    harms: bool
    steps: int
    before_mm: float
    after_mm: float
    """True mean error of the views' own hands, held out."""
    better: bool
    """The guard's verdict."""
    reason: str
    before: ValidationMetrics
    after: ValidationMetrics


def make_scene(settings: Settings, rng: np.random.Generator, engine: TorchEngine) -> Scene | None:
    """Draw a stream, and label it as the live program does; None where too little of it is labelled."""
    model = HandModel.load(asset=FOREIGN_ASSET)
    rig = sample_rig(rng, float(rng.uniform(25, 110)), PerView.of(lambda view: 60.0))
    stream = render_stream(rng, rig, settings.seconds, settings.fps, model=model, texture=FOREIGN_TEXTURE)
    sizes_px = rig.geometry.cameras.map(lambda camera: camera.size_px)
    geometry = perturbed(rig.geometry, rng)
    estimator = CropEstimator(engine, load_locator(), sizes_px, FollowSettings("right"))
    known = CalibrationState(geometry, mean_bone_lengths())
    labelled = [pair for pair in label_recording(iter(stream.pairs), estimator, known) if pair is not None]
    shown = [TrainingSample.cut(pair, engine.manifest.crop_size) for pair in labelled]
    parts = [number // STRETCH % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 for number in range(len(shown))]
    learnt, held_out = ([one for one, out in zip(shown, parts, strict=True) if out == which] for which in (False, True))
    if len(held_out) < LEAST_HELD_OUT:
        return None
    numbers = [stream.number(one.captured_ns) for one in held_out]
    return Scene(
        stream,
        geometry,
        TrainingSet.of(learnt),
        TrainingSet.of(held_out),
        stream.truth.map(lambda hands: hands[numbers]),
    )


def perturbed(geometry: TwoViewGeometry, rng: np.random.Generator) -> TwoViewGeometry:
    """Cameras as well known as they are once they have calibrated themselves."""
    turn = from_vector(np.radians(rng.normal(0, ROTATION_DEG / np.sqrt(3), 3)))
    t = from_vector(np.radians(rng.normal(0, BASELINE_DEG / np.sqrt(2), 3))) @ geometry.t_right_from_left_mm
    focal = np.exp(rng.normal(0, FOCAL_SHARE))
    cameras = geometry.cameras.map(lambda camera: replace(camera, focal_px=float(camera.focal_px * focal)))
    return TwoViewGeometry(cameras, turn @ geometry.R_right_from_left, t)


def variants(other: TrainingSet) -> list[Variant]:
    """All of them; `other` is another scene's material."""

    def poisoned(
        change: Callable[[GeometryLabelBatch, np.random.Generator], GeometryLabelBatch],
    ) -> Callable[[TrainingSet, np.random.Generator], TrainingSet]:
        return lambda material, rng: replace(material, taught=material.taught.map(lambda taught: change(taught, rng)))

    def deeper(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        return replace(taught, joints=taught.joints * torch.tensor([1.0, 1.0, 1.6]))

    def others_labels(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        return taught.rows(torch.from_numpy(np.roll(np.arange(len(taught.joints)), 11)))

    def curled(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        # Fingers end where their middle joints are.
        order = torch.arange(21)
        order[[7, 8, 11, 12, 15, 16, 19, 20]] = torch.tensor([6, 6, 10, 10, 14, 14, 18, 18])
        return replace(taught, joints=taught.joints[:, order], pixels=taught.pixels[:, order])

    def shuffled(material: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        rows = torch.from_numpy(np.roll(np.arange(len(material.pairs)), len(material.pairs) // 3))
        return _right_from(material, material, rows)

    def two_hands(material: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        return _right_from(material, other, torch.arange(len(material.pairs)) % len(other.pairs))

    def covered(material: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        images = material.pairs.images
        dark = torch.from_numpy(rng.integers(0, 12, images.right.shape, dtype=np.uint8))
        return replace(material, pairs=replace(material.pairs, images=PerView(images.left, dark)))

    def still(material: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        rows = torch.full((len(material.pairs),), int(rng.integers(len(material.pairs))))
        return TrainingSet(material.pairs.rows(rows), material.taught.map(lambda t: t.rows(rows)), material.shown)

    return [
        Variant("s2dhand", False, "s2dhand"),
        Variant("geometry", False, "geometry"),
        Variant("both", False, "both"),
        Variant("rotation 30 deg wrong", True, "s2dhand", 30),
        Variant("rotation 90 deg wrong", True, "s2dhand", 90),
        Variant("teacher too deep", True, "geometry", change=poisoned(deeper)),
        Variant("teacher curls fingers", True, "geometry", change=poisoned(curled)),
        Variant("teacher labels others", True, "geometry", change=poisoned(others_labels)),
        Variant("shuffled pairs", True, "s2dhand", change=shuffled),
        Variant("two hands", True, "s2dhand", change=two_hands),
        Variant("one camera covered", True, "s2dhand", change=covered),
        Variant("one hand still", False, "both", change=still),
        Variant("too fast", True, "both", rate=2e-2),
    ]


def _right_from(material: TrainingSet, other: TrainingSet, rows: torch.Tensor) -> TrainingSet:
    """The right view of `other`'s hands numbered `rows`."""
    rights = other.pairs.rows(rows)
    pairs = CropPairs(
        PerView(material.pairs.images.left, rights.images.right),
        PerView(material.pairs.R_frame_from_crop.left, rights.R_frame_from_crop.right),
        material.pairs.mirror,
    )
    return TrainingSet(pairs, PerView(material.taught.left, other.taught.right.rows(rows)), material.shown)


def true_error_mm(said: ValidationPredictions, truth: PerView[np.ndarray]) -> float:
    """Mean error of both views' own hands, mm of a hand of `DEFAULT_HAND_SIZE_MM`."""
    off = PerView.of(lambda view: float(np.linalg.norm(said.joints[view] - truth[view], axis=-1).mean()))
    return DEFAULT_HAND_SIZE_MM * (off.left + off.right) / 2


def evaluate_variant(
    settings: Settings, number: int, scene: Scene, way: Variant, network: HandNetwork, manifest: Manifest, drawn: SyntheticCrops
) -> Iterator[Row]:
    """Adapt in one way, and judge after each number of steps."""
    rng = np.random.default_rng([settings.seed, number])
    axis = rng.normal(size=3)
    turn = from_vector(axis / np.linalg.norm(axis) * np.radians(way.turned_deg))
    R = turn @ scene.geometry.R_right_from_left
    material = way.change(scene.learnt, rng)
    adaptation = MeanTeacher(network, manifest, replace(Recipe.of(way.labels), rate=way.rate), R)

    def weighed(of: HandNetwork) -> tuple[ValidationMetrics, float]:
        said = predict_samples(of, manifest, scene.held_out)
        return validate(said, scene.held_out, scene.geometry, synthetic_error(of, drawn)), true_error_mm(said, scene.truth)

    before, before_mm = weighed(network)
    order = torch.Generator().manual_seed(settings.seed)
    for step in range(1, max(settings.steps) + 1):
        rows = torch.randperm(len(material.pairs), generator=order)[: settings.batch]
        taught = material.taught.map(lambda view, rows=rows: view.rows(rows))
        adaptation.step(material.pairs.rows(rows), R, labels=way.labels, taught=taught)
        if step in settings.steps:
            after, after_mm = weighed(adaptation.teacher)
            decision = decide_promotion(after, before, before)
            reason = decision_text(decision)
            yield Row(number, way.name, way.harms, step, before_mm, after_mm, decision.better, reason, before, after)


def report(rows: list[Row]) -> str:
    """What came of it: by way, the figures' rank correlation with the truth, and right and wrong verdicts."""
    lines = [f"{'way':24}{'steps':>6}{'true change, mm':>20}{'taken':>8}{'taken and worse':>17}"]
    for name, steps in dict.fromkeys((row.way, row.steps) for row in rows):
        of = [row for row in rows if (row.way, row.steps) == (name, steps)]
        change = np.array([row.after_mm - row.before_mm for row in of])
        wrong = sum(row.better and row.after_mm > row.before_mm for row in of)
        spread = f"{change.mean():+.1f} ({change.min():+.1f} to {change.max():+.1f})"
        lines.append(f"{name:24}{steps:6}{spread:>20}{sum(row.better for row in of):>5}/{len(of):<2}{wrong:>17}")
    change = np.array([row.after_mm - row.before_mm for row in rows])
    lines.append("")
    lines.append("rank correlation of each figure's change with the true change of the error")
    for name in asdict(rows[0].before):
        told = np.array([getattr(row.after, name) - getattr(row.before, name) for row in rows])
        lines.append(f"  {name:12}{_rank_correlation(told, change):+.2f}")
    taken, better = np.array([row.better for row in rows]), change < 0
    lines.append("")
    counts = (int((t & b).sum()) for t, b in ((taken, better), (taken, ~better), (~taken, better), (~taken, ~better)))
    right, wrong, missed, refused = counts
    lines.append(
        f"{len(rows)} candidates: {right} better and taken, {wrong} worse and taken, {missed} better and left, "
        f"{refused} worse and left"
    )
    if (taken & ~better).any():
        lines.append(f"the worst that was taken is {change[taken].max():.2f} mm worse")
    lines.append(
        f"true change of those taken {change[taken].mean():+.2f} mm, of those left {change[~taken].mean():+.2f} mm (means)"
    )
    return "\n".join(lines)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of values without ties."""
    ranks = np.stack([np.argsort(np.argsort(values)) for values in (a, b)]).astype(float)
    return float(np.corrcoef(ranks)[0, 1])


def evaluate(settings: Settings) -> list[Row]:
    """All judgements. Raises UserError where no scene's cameras became sure."""
    network, manifest = load_network(settings.weights)
    engine = TorchEngine(*load_network(settings.weights), threads=1)
    drawn = CropRenderer(manifest.crop_size, Backgrounds.load(None, "held_out"), DRAWN_SEED).draw(128)
    scenes: list[Scene] = []
    for number in tqdm(range(settings.scenes), desc="watching", unit="scene"):
        scene = make_scene(settings, np.random.default_rng([settings.seed, number, 1]), engine)
        if scene is None:
            tqdm.write(f"scene {number}: too few of its hands were seen by both views")
        else:
            scenes.append(scene)
    if not scenes:
        raise UserError(f"none of {settings.scenes} scenes shows enough hands to both views: give more --scenes or --seconds")
    rows: list[Row] = []
    with tqdm(total=len(scenes) * len(variants(scenes[0].learnt)), desc="adapting", unit="way") as bar:
        for number, scene in enumerate(scenes):
            for way in variants(scenes[number - 1].learnt):
                rows += evaluate_variant(settings, number, scene, way, network, manifest, drawn)
                bar.update()
                if settings.json:
                    settings.json.parent.mkdir(parents=True, exist_ok=True)
                    settings.json.write_bytes(msgspec.json.encode(rows))
    return rows


def main(settings: Settings) -> None:
    print(report(evaluate(settings)))


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
