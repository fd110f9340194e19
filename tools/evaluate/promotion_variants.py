"""Ways to adapt, sound ones and ones that must harm: wrong rotations, poisoned labels, pairs that do not belong together."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.targets import GeometryLabelBatch, LabelSource, Recipe
from adapt.core.training_samples import TrainingSet
from capture.views import PerView


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to adapt."""

    name: str
    harms: bool
    labels: LabelSource
    turned_deg: float = 0.0
    """Error of the rotation in use."""
    change: Callable[[TrainingSet, np.random.Generator], TrainingSet] = lambda samples, rng: samples
    rate: float = Recipe().rate


def variants(other: TrainingSet) -> list[Variant]:
    """All variants; `other` is another scene's training set."""

    def poisoned(
        change: Callable[[GeometryLabelBatch, np.random.Generator], GeometryLabelBatch],
    ) -> Callable[[TrainingSet, np.random.Generator], TrainingSet]:
        return lambda samples, rng: replace(samples, labels=samples.labels.map(lambda taught: change(taught, rng)))

    def deeper(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        return replace(taught, joints=taught.joints * torch.tensor([1.0, 1.0, 1.6]))

    def others_labels(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        return taught.rows(torch.from_numpy(np.roll(np.arange(len(taught.joints)), 11)))

    def curled(taught: GeometryLabelBatch, rng: np.random.Generator) -> GeometryLabelBatch:
        # Fingers end where their middle joints are.
        order = torch.arange(21)
        order[[7, 8, 11, 12, 15, 16, 19, 20]] = torch.tensor([6, 6, 10, 10, 14, 14, 18, 18])
        return replace(taught, joints=taught.joints[:, order], pixels=taught.pixels[:, order])

    def shuffled(samples: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        rows = torch.from_numpy(np.roll(np.arange(len(samples.pairs)), len(samples.pairs) // 3))
        return _right_from(samples, samples, rows)

    def two_hands(samples: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        return _right_from(samples, other, torch.arange(len(samples.pairs)) % len(other.pairs))

    def covered(samples: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        images = samples.pairs.images
        dark = torch.from_numpy(rng.integers(0, 12, images.right.shape, dtype=np.uint8))
        return replace(samples, pairs=replace(samples.pairs, images=PerView(images.left, dark)))

    def still(samples: TrainingSet, rng: np.random.Generator) -> TrainingSet:
        rows = torch.full((len(samples.pairs),), int(rng.integers(len(samples.pairs))))
        return TrainingSet(samples.pairs.rows(rows), samples.labels.map(lambda t: t.rows(rows)), samples.samples)

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


def _right_from(samples: TrainingSet, other: TrainingSet, rows: torch.Tensor) -> TrainingSet:
    """`samples` with the right view of `other`'s hands numbered `rows`."""
    rights = other.pairs.rows(rows)
    pairs = CropPairs(
        PerView(samples.pairs.images.left, rights.images.right),
        PerView(samples.pairs.R_frame_from_crop.left, rights.R_frame_from_crop.right),
        samples.pairs.mirror,
    )
    return TrainingSet(pairs, PerView(samples.labels.left, other.labels.right.rows(rows)), samples.samples)
