"""Samples that a network is trained or validated on: crops of both views with their pseudo-labels, and batches of them."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from adapt.core.crop_pairs import CropPairs
from adapt.core.geometry_labels import LabelledPair, ViewLabel
from adapt.core.label_crops import LabelledCrop
from adapt.core.targets import GeometryLabelBatch
from capture.views import PerView, View
from runtime.estimators.crop import HandCrop
from runtime.estimators.framing import Framing
from runtime.networks.weights import Manifest
from runtime.types import Side

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """A hand that both views saw: a crop and a pseudo-label of each, never whole frames."""

    captured_ns: int
    labels: PerView[ViewLabel]
    crops: PerView[LabelledCrop]

    @classmethod
    def of(cls, captured_ns: int, labels: PerView[ViewLabel], crops: PerView[HandCrop]) -> "TrainingSample":
        """Of crops that were cut before they were labelled."""
        return cls(captured_ns, labels, PerView.of(lambda view: LabelledCrop.of(labels[view], crops[view])))

    @classmethod
    def cut(cls, labelled: LabelledPair, manifest: Manifest) -> "TrainingSample":
        """Of labelled frames, for the network of that manifest: the labels say where to cut."""
        pair, labels, framing = labelled.pair, labelled.labels, Framing.of(manifest)
        crops = PerView.of(lambda view: LabelledCrop.cut(labels[view], pair[view].image, manifest.crop_size, framing))
        return cls(max(pair.left.captured_ns, pair.right.captured_ns), labels, crops)

    @property
    def side(self) -> Side:
        return self.labels.left.side


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """N samples as a batch, to train on or to validate on."""

    pairs: CropPairs
    labels: PerView[GeometryLabelBatch]
    samples: list[TrainingSample]
    """Those that the batch was made of."""

    @classmethod
    def of(cls, samples: list[TrainingSample]) -> "TrainingSet":
        def stacked(view: View, name: str) -> torch.Tensor:
            return torch.from_numpy(np.stack([getattr(sample.crops[view], name) for sample in samples]))

        def labels(view: View) -> GeometryLabelBatch:
            joints = torch.from_numpy(np.stack([sample.labels[view].joints for sample in samples])).float()
            return GeometryLabelBatch(joints, stacked(view, "pixels").float(), stacked(view, "weight").float())

        def rotations(view: View) -> torch.Tensor:
            return torch.from_numpy(np.stack([sample.crops[view].camera.R_frame_from_crop for sample in samples]))

        mirror = torch.tensor([sample.crops.left.camera.mirror for sample in samples])
        images = PerView.of(lambda view: stacked(view, "image"))
        return cls(CropPairs(images, PerView.of(rotations), mirror), PerView.of(labels), samples)


class EvenSubsample(Generic[Item]):
    """Keeps `most` items of a stream of any length, evenly spread; holds fewer than twice as many."""

    def __init__(self, most: int):
        self._most, self._every, self._count = most, 1, 0
        self._items: list[Item] = []

    def add(self, item: Item) -> None:
        if self._count % self._every == 0:
            self._items.append(item)
        self._count += 1
        if len(self._items) >= 2 * self._most:
            self._items, self._every = self._items[::2], 2 * self._every

    @property
    def items(self) -> list[Item]:
        chosen = np.linspace(0, len(self._items) - 1, min(self._most, len(self._items))).round().astype(int)
        return [self._items[number] for number in chosen]
