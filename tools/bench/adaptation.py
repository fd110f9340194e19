"""How long a step of adaptation takes, by each kind of pseudo-labels: the part `adapt` of `python -m tools.bench`."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from capture.views import PerView
from hand.errors import UserError
from tools.bench.timed import Make, Timed

if TYPE_CHECKING:
    from adapt.core.crop_pairs import CropPairs
    from adapt.core.targets import LabelSource, TwoViewPredictions

ADAPT_BATCH, ADAPT_TIMED = 64, 16
"""Pairs of one step, and how many of them are timed."""


def make_adapt_labels() -> Timed:
    import torch

    from adapt.core.batch_rotation import batch_rotation
    from adapt.core.targets import Recipe, delta_target, location_target, pseudo_labels

    seen, R = _predictions(ADAPT_BATCH), torch.eye(3)

    def labels() -> None:
        made = pseudo_labels(seen, R, 0, Recipe())
        batch_rotation(made.rooted, made.weight)
        made.joints.map(lambda joints: (location_target(joints, 0), delta_target(joints)))

    return Timed(labels, 1, f"pseudo-labels, targets and rotation of {ADAPT_BATCH} pairs")


def make_adapt_step(labels: "LabelSource") -> Timed:
    import torch

    from adapt.core.mean_teacher import MeanTeacher
    from adapt.core.targets import GeometryLabelBatch
    from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

    network, manifest = load_network(DEFAULT_WEIGHTS)
    pairs, joints = _pairs(manifest.crop_size), _predictions(ADAPT_TIMED).joints
    pixels = torch.rand(ADAPT_TIMED, 21, 2) * manifest.crop_size
    taught = joints.map(lambda joints: GeometryLabelBatch(joints, pixels, torch.ones(ADAPT_TIMED, 21)))
    adaptation = MeanTeacher(network, manifest, R_right_from_left=np.eye(3))
    what = f"a whole step on {ADAPT_BATCH} pairs, timed on {ADAPT_TIMED}: {manifest.architecture}, --labels {labels}"
    return Timed(lambda: adaptation.step(pairs, labels=labels, geometry_labels=taught), ADAPT_TIMED / ADAPT_BATCH, what)


def make_adapt_published() -> Timed:
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
    joints = _predictions(ADAPT_TIMED).joints.map(lambda x: x.double().numpy())
    adaptation = MeanTeacher(network, manifest, FAITHFUL, np.eye(3))

    def refine(left: np.ndarray, right: np.ndarray) -> None:
        def objective(x: np.ndarray) -> float:
            moved = x.reshape(2, -1, 3)
            return float(((align(moved[0], moved[1]) - np.eye(3)) ** 2).sum())

        minimize(objective, np.stack([left, right]).ravel(), method="BFGS", options={"maxiter": 20})

    def step() -> None:
        # It includes our own refinement, a thousandth of this time.
        adaptation.step(pairs)
        for pair in zip(*joints, strict=True):
            refine(*pair)

    what = f"a whole step of the published recipe (BFGS, numeric gradients) on {ADAPT_BATCH} pairs, timed on {ADAPT_TIMED}"
    return Timed(step, ADAPT_TIMED / ADAPT_BATCH, what)


def _pairs(size: int) -> "CropPairs":
    """Crops of noise of `size` px, to time a step on."""
    import torch

    from adapt.core.crop_pairs import CropPairs

    shape = (ADAPT_TIMED, size, size, 3)
    images = PerView.of(lambda view: torch.randint(0, 256, shape, dtype=torch.uint8))
    turns = PerView.of(lambda view: torch.eye(3).expand(ADAPT_TIMED, 3, 3))
    return CropPairs(images, turns, torch.zeros(ADAPT_TIMED, dtype=torch.bool))


def _predictions(count: int) -> "TwoViewPredictions":
    """Predictions of `count` hands in two cameras of the same orientation, with noise of 0.1 unit hands."""
    import torch

    from adapt.core.targets import TwoViewPredictions
    from hand.joints import unit_hand
    from tools.evaluate.motion import sample_motion

    random = np.random.default_rng(0)
    motion = np.resize(unit_hand(sample_motion(random, 10)), (count, 21, 3))
    joints = PerView.of(lambda view: torch.tensor(motion + random.normal(0, 0.1, motion.shape), dtype=torch.float32))
    confidence = PerView.of(lambda view: torch.rand(count, 21, generator=torch.Generator().manual_seed(len(view))))
    return TwoViewPredictions(joints, confidence, confidence.map(lambda sure: sure >= 0.1))


PARTS: dict[str, Make] = {
    "adapt-labels": make_adapt_labels,
    "adapt-s2dhand": partial(make_adapt_step, "s2dhand"),
    "adapt-geometry": partial(make_adapt_step, "geometry"),
    "adapt-both": partial(make_adapt_step, "both"),
    "adapt-published": make_adapt_published,
}
