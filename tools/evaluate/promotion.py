"""How well the promotion gate tells better networks from worse ones: `python -m tools.evaluate.promotion --scenes 6`.

On rendered streams with ground truth: other cameras, motion and people, with a hand that training never renders. The shipped
network adapts to each stream correctly, and in variants that must harm it (`tools.evaluate.promotion_variants`). After some steps
the validation metrics on held-out pairs are compared with the true change of the error.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from tqdm import tqdm

from adapt.core.mean_teacher import MeanTeacher
from adapt.core.targets import Recipe
from adapt.online.promotion import decide_promotion
from adapt.online.status_text import decision_text
from adapt.online.validation import ValidationMetrics, ValidationPredictions, predict_samples, synthetic_error, validate
from capture.views import PerView
from hand import program
from hand.errors import UserError
from hand.files import saving
from hand.joints import DEFAULT_HAND_SIZE_MM
from hand.outputs import ProgramFiles, with_manifest
from hand.rotations import from_vector
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.engines.torch_engine import TorchEngine
from runtime.estimators.framing import Framing
from runtime.networks.network import HandNetwork
from runtime.networks.weights import DEFAULT_WEIGHTS, Manifest, load_network
from tools.evaluate.promotion_scenes import Scene, make_scene
from tools.evaluate.promotion_variants import Variant, variants

SYNTHETIC_SEED = 4_000_000
"""Seed of the synthetic hands that must not be forgotten."""


@dataclass
class Settings:
    """Evaluate the promotion gate of live adaptation."""

    scenes: int = 6
    seconds: float = 14.0
    fps: float = 15.0
    steps: tuple[int, ...] = (4, 12, 32)
    """Each variant is validated after these numbers of steps."""
    batch: int = 8
    seed: int = 0
    weights: Path = DEFAULT_WEIGHTS
    json: Path | None = None
    """File to write every row to."""
    overwrite: bool = False
    """Replace files that are there already."""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate network."""

    scene: int
    way: str
    """Name of the variant."""
    harms: bool
    steps: int
    before_mm: float
    after_mm: float
    """True mean error of the views' own hands on held-out pairs."""
    better: bool
    """Whether the gate promotes it."""
    reason: str
    before: ValidationMetrics
    after: ValidationMetrics


def true_error_mm(said: ValidationPredictions, truth: PerView[np.ndarray]) -> float:
    """Mean error of both views' own hands, mm of a hand of `DEFAULT_HAND_SIZE_MM`."""
    off = PerView.of(lambda view: float(np.linalg.norm(said.joints[view] - truth[view], axis=-1).mean()))
    return DEFAULT_HAND_SIZE_MM * (off.left + off.right) / 2


def evaluate_variant(
    settings: Settings,
    number: int,
    scene: Scene,
    variant: Variant,
    network: HandNetwork,
    manifest: Manifest,
    drawn: SyntheticCrops,
) -> Iterator[Row]:
    """Adapt by one variant, and validate after each number of steps."""
    rng = np.random.default_rng([settings.seed, number])
    axis = rng.normal(size=3)
    turn = from_vector(axis / np.linalg.norm(axis) * np.radians(variant.turned_deg))
    R = turn @ scene.geometry.R_right_from_left
    training = variant.change(scene.learnt, rng)
    adaptation = MeanTeacher(network, manifest, replace(Recipe.of(variant.labels), rate=variant.rate), R)

    def weighed(of: HandNetwork) -> tuple[ValidationMetrics, float]:
        said = predict_samples(of, manifest, scene.held_out)
        return validate(said, scene.held_out, scene.geometry, synthetic_error(of, drawn)), true_error_mm(said, scene.truth)

    before, before_mm = weighed(network)
    order = torch.Generator().manual_seed(settings.seed)
    for step in range(1, max(settings.steps) + 1):
        rows = torch.randperm(len(training.pairs), generator=order)[: settings.batch]
        taught = training.labels.map(lambda view, rows=rows: view.rows(rows))
        adaptation.step(training.pairs.rows(rows), R, labels=variant.labels, geometry_labels=taught)
        if step in settings.steps:
            after, after_mm = weighed(adaptation.teacher)
            decision = decide_promotion(after, before, before)
            reason = decision_text(decision)
            yield Row(number, variant.name, variant.harms, step, before_mm, after_mm, decision.better, reason, before, after)


def report(rows: list[Row]) -> str:
    """True change per variant, rank correlation of each metric with it, and the gate's right and wrong decisions, as text."""
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
        gain = np.array([getattr(row.after, name) - getattr(row.before, name) for row in rows])
        lines.append(f"  {name:12}{_rank_correlation(gain, change):+.2f}")
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
    """All rows. Raises UserError where no scene has enough labelled pairs."""
    files = ProgramFiles(overwrite=settings.overwrite).reads("--weights", *with_manifest(settings.weights))
    files.writes("--json", settings.json).check()
    network, manifest = load_network(settings.weights)
    engine = TorchEngine(*load_network(settings.weights), threads=1)
    places, framing = Backgrounds.load(None, "held_out"), Framing.of(manifest)
    drawn = CropRenderer(manifest.crop_size, places, SYNTHETIC_SEED, framing=framing).render(128)
    scenes: list[Scene] = []
    for number in tqdm(range(settings.scenes), desc="rendering", unit="scene"):
        scene = make_scene(np.random.default_rng([settings.seed, number, 1]), engine, settings.seconds, settings.fps)
        if scene is None:
            tqdm.write(f"scene {number}: too few of its hands were seen by both views")
        else:
            scenes.append(scene)
    if not scenes:
        raise UserError(f"none of {settings.scenes} scenes shows enough hands to both views: give more --scenes or --seconds")
    rows: list[Row] = []
    with tqdm(total=len(scenes) * len(variants(scenes[0].learnt)), desc="adapting", unit="variant") as bar:
        for number, scene in enumerate(scenes):
            for variant in variants(scenes[number - 1].learnt):
                rows += evaluate_variant(settings, number, scene, variant, network, manifest, drawn)
                bar.update()
                if settings.json:
                    with saving(settings.json) as part:
                        part.write_bytes(msgspec.json.encode(rows))
    return rows


def main(settings: Settings) -> None:
    print(report(evaluate(settings)))


if __name__ == "__main__":
    program.run(main, Settings)
