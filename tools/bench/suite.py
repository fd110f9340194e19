"""How long the parts take on this machine: `python -m tools.bench`, or some of them: `python -m tools.bench draw network`.

`python -m tools.bench engines` compares every engine of both networks, `python -m tools.bench stream` times the whole pipeline,
stage by stage; `--json FILE` keeps the figures of either.

One thread, save where a line says otherwise. Medians over interleaved rounds, so that a busy moment hits all parts alike; compare
ratios within one run.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import tyro

from capture.views import PerView
from hand.errors import UserError
from runtime.engines.names import EngineName
from tools.bench import engines as bench_engines
from tools.bench import estimators as bench_estimators
from tools.bench import stream as bench_stream

if TYPE_CHECKING:
    from adapt.core.crop_pairs import CropPairs
    from adapt.core.targets import LabelSource, TwoViewPredictions

Part = Literal[
    "engines",
    "stream",
    "draw",
    "network",
    "locator",
    "crop",
    "detnet-lite",
    "mediapipe",
    "mediapipe-lite",
    "rotation",
    "fit",
    "skin",
    "adapt",
]
_ROWS = {"adapt": ("adapt-labels", "adapt-s2dhand", "adapt-geometry", "adapt-both", "adapt-published")}
"""Parts of which several things are timed."""
_WHOLES = ("engines", "stream")
"""Parts that print tables of their own."""
ADAPT_BATCH, ADAPT_TIMED = 64, 16
"""Pairs that adaptation learns from in one step, and of those that are timed."""


@dataclass
class Settings:
    """Time the parts."""

    parts: tyro.conf.Positional[tuple[Part, ...]] = get_args(Part)[2:]
    rounds: int = 15
    json: Path | None = None
    """Write the figures of `engines` and `stream` to this file."""
    detnet: Path | None = None
    """For `engines`: DetNet's weights; none: random ones, which take as long."""
    clip: tuple[Path, Path] | None = None
    """For `stream`: the left and the right video; none: the synthetic cameras."""
    engine: EngineName = "auto"
    """For `stream`."""
    peer: str | None = None
    """For `stream`: another program's command to run in turns, which prints `N pairs/s`."""


def make_draw() -> tuple[Callable[[], object], int, str]:
    from hand.synth.backgrounds import Backgrounds
    from hand.synth.draw import Drawer

    drawer = Drawer(64, Backgrounds.load(None, "train"), 0)
    return lambda: drawer.draw(16), 16, "one drawn training picture, 64 px"


def make_rotation() -> tuple[Callable[[], object], int, str]:
    from runtime.geometry.rotation_estimator import RotationEstimator

    random = np.random.default_rng(0)
    estimator = RotationEstimator()
    hands = random.normal(size=(400, 2, 21, 3))
    count = iter(range(10**9))

    def update() -> None:
        number = next(count)
        left, right = hands[number % len(hands)]
        estimator.update(number * 33_000_000, left, right, np.ones(21))

    for _ in range(200):
        update()
    return update, 1, "one update of the rotation, buffer full"


def make_fit() -> tuple[Callable[[], object], int, str]:
    from hand.joints import DEFAULT_HAND_SIZE_MM, unit_hand
    from runtime.fusion.hand_fit import HandFit
    from runtime.fusion.joint_limits import BONES_FROM_JOINTS
    from tools.evaluate.two_views import observe, sample_motion, sample_rig

    random = np.random.default_rng(0)
    seen = observe(random, sample_rig(random, 60), sample_motion(random, 10))
    bones = np.linalg.norm(BONES_FROM_JOINTS @ unit_hand(seen.joints_mm), axis=2).mean(0)
    fit = HandFit(seen.rig.geometry, bones, DEFAULT_HAND_SIZE_MM)
    pairs = [pair for pair in seen.pairs if pair is not None]
    count = iter(range(10**9))

    def update() -> None:
        number = next(count)
        left, right = pairs[number % len(pairs)]
        fit(number * 33_000_000, PerView(left, right))

    return update, 1, "one hand fitted to both views"


def make_skin() -> tuple[Callable[[], object], int, str]:
    from hand.model import HandModel
    from runtime.view.skin import Skin

    model = HandModel.load()
    skin, joints = Skin(model), model.joints.numpy()
    return lambda: skin.vertices(joints, "right"), 1, "the merged hand's skin"


def make_adapt_labels() -> tuple[Callable[[], object], float, str]:
    import torch

    from adapt.core.batch_rotation import batch_rotation
    from adapt.core.targets import Recipe, delta_target, location_target, pseudo_labels

    seen, R = _seen(ADAPT_BATCH), torch.eye(3)

    def labels() -> None:
        made = pseudo_labels(seen, R, 0, Recipe())
        batch_rotation(made.rooted, made.weight)
        made.joints.map(lambda joints: (location_target(joints, 0), delta_target(joints)))

    return labels, 1, f"pseudo-labels, targets and rotation of {ADAPT_BATCH} pairs"


def make_adapt_step(labels: "LabelSource") -> tuple[Callable[[], object], float, str]:
    import torch

    from adapt.core.mean_teacher import MeanTeacher
    from adapt.core.targets import GeometryLabelBatch
    from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

    network, manifest = load_network(DEFAULT_WEIGHTS)
    pairs, joints = _pairs(manifest.crop_size), _seen(ADAPT_TIMED).joints
    pixels = torch.rand(ADAPT_TIMED, 21, 2) * manifest.crop_size
    taught = joints.map(lambda joints: GeometryLabelBatch(joints, pixels, torch.ones(ADAPT_TIMED, 21)))
    adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3))
    what = f"a whole step on {ADAPT_BATCH} pairs, timed on {ADAPT_TIMED}: {manifest.architecture}, --labels {labels}"
    return lambda: adaptation.step(pairs, labels=labels, taught=taught), ADAPT_TIMED / ADAPT_BATCH, what


make_adapt_s2dhand = partial(make_adapt_step, "s2dhand")
make_adapt_geometry = partial(make_adapt_step, "geometry")
make_adapt_both = partial(make_adapt_step, "both")


def make_adapt_published() -> tuple[Callable[[], object], float, str]:
    try:
        from scipy.optimize import minimize  # pyright: ignore[reportMissingImports] (extra "make")
    except ImportError as error:
        raise UserError("the published refinement needs scipy, which the extra 'make' brings: pip install scipy") from error

    from adapt.core.mean_teacher import MeanTeacher
    from adapt.core.targets import FAITHFUL
    from hand.rotations import align
    from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

    network, manifest = load_network(DEFAULT_WEIGHTS)
    pairs = _pairs(manifest.crop_size)
    joints = _seen(ADAPT_TIMED).joints.map(lambda x: x.double().numpy())
    adaptation = MeanTeacher(network, manifest, FAITHFUL, np.eye(3))

    def refine(left: np.ndarray, right: np.ndarray) -> None:
        def objective(x: np.ndarray) -> float:
            moved = x.reshape(2, -1, 3)
            return float(((align(moved[0], moved[1]) - np.eye(3)) ** 2).sum())

        minimize(objective, np.stack([left, right]).ravel(), method="BFGS", options={"maxiter": 20})

    def step() -> None:
        # Our own refinement, a thousandth of this time, is made besides.
        adaptation.step(pairs)
        for pair in zip(*joints, strict=True):
            refine(*pair)

    what = f"a whole step of the published recipe (BFGS, numeric gradients) on {ADAPT_BATCH} pairs, timed on {ADAPT_TIMED}"
    return step, ADAPT_TIMED / ADAPT_BATCH, what


def _pairs(size: int) -> "CropPairs":
    """Noise in crops of `size` px, enough to time a step on."""
    import torch

    from adapt.core.crop_pairs import CropPairs

    shape = (ADAPT_TIMED, size, size, 3)
    images = PerView.of(lambda view: torch.randint(0, 256, shape, dtype=torch.uint8))
    turns = PerView.of(lambda view: torch.eye(3).expand(ADAPT_TIMED, 3, 3))
    return CropPairs(images, turns, torch.zeros(ADAPT_TIMED, dtype=torch.bool))


def _seen(count: int) -> "TwoViewPredictions":
    """So many hands as a network sees them in two cameras that stand alike, 0.1 hands off."""
    import torch

    from adapt.core.targets import TwoViewPredictions
    from hand.joints import unit_hand
    from tools.evaluate.two_views import sample_motion

    random = np.random.default_rng(0)
    motion = np.resize(unit_hand(sample_motion(random, 10)), (count, 21, 3))
    joints = PerView.of(lambda view: torch.tensor(motion + random.normal(0, 0.1, motion.shape), dtype=torch.float32))
    confidence = PerView.of(lambda view: torch.rand(count, 21, generator=torch.Generator().manual_seed(len(view))))
    return TwoViewPredictions(joints, confidence, confidence.map(lambda sure: sure >= 0.1))


def write_figures(told: dict[str, object], path: Path) -> None:
    """Raises UserError where the file cannot be written."""
    try:
        path.write_text(json.dumps(told, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give a file in a folder that is there") from error


def main(settings: Settings) -> None:
    import torch

    told: dict[str, object] = {}
    if "engines" in settings.parts:
        told["engines"] = bench_engines.show(settings.detnet)
    if "stream" in settings.parts:
        clip = PerView(*settings.clip) if settings.clip else None
        told["stream"] = stream = bench_stream.show(clip, settings.engine, settings.peer)
        # Whoever wants this one figure need not know where it is.
        told["pairs_per_s"] = stream["pairs_per_s"]
    if settings.json:
        write_figures(told, settings.json)
    torch.set_num_threads(1)
    known = vars(bench_estimators) | globals()
    makers = {
        name: known[f"make_{name.replace('-', '_')}"]
        for part in settings.parts
        if part not in _WHOLES
        for name in _ROWS.get(part, (part,))
    }
    parts = {}
    for name, make in makers.items():
        try:
            parts[name] = make()
        except UserError as error:
            print(f"{name}: {error}")
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(settings.rounds + 2):
        for name, (run, units, _) in parts.items():
            started = time.perf_counter()
            run()
            # The first two rounds warm up.
            if number >= 2:
                spent[name].append((time.perf_counter() - started) / units * 1e3)
    for name, (_, _, what) in parts.items():
        median, p90 = np.percentile(spent[name], [50, 90])
        rate = f"; {1e3 / median:.2f} a second" if "whole step" in what else ""
        print(f"{name:15} {median:8.2f} ms  (p90 {p90:.2f})  {what}{rate}")
