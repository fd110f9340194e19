"""What is kept of a recording's hands, to learn from or to judge by: crops and what they are taught, never whole frames."""

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
    def cut(cls, labelled: LabelledPair, crop_size: int) -> "TrainingSample":
        """Of labelled frames: the labels say where to cut."""
        pair, labels = labelled.pair, labelled.labels
        crops = PerView.of(lambda view: LabelledCrop.cut(labels[view], pair[view].image, crop_size))
        return cls(max(pair.left.captured_ns, pair.right.captured_ns), labels, crops)

    @property
    def side(self) -> Side:
        return self.labels.left.side


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Such hands, to learn from or to judge by."""

    pairs: CropPairs
    taught: PerView[GeometryLabelBatch]
    shown: list[TrainingSample]

    @classmethod
    def of(cls, shown: list[TrainingSample]) -> "TrainingSet":
        def stacked(view: View, name: str) -> torch.Tensor:
            return torch.from_numpy(np.stack([getattr(each.crops[view], name) for each in shown]))

        def taught(view: View) -> GeometryLabelBatch:
            joints = torch.from_numpy(np.stack([each.labels[view].joints for each in shown])).float()
            return GeometryLabelBatch(joints, stacked(view, "pixels").float(), stacked(view, "weight").float())

        def turns(view: View) -> torch.Tensor:
            return torch.from_numpy(np.stack([each.crops[view].camera.R_frame_from_crop for each in shown]))

        mirror = torch.tensor([each.crops.left.camera.mirror for each in shown])
        images = PerView.of(lambda view: stacked(view, "image"))
        return cls(CropPairs(images, PerView.of(turns), mirror), PerView.of(taught), shown)


class EvenSubsample(Generic[Item]):
    """Of a stream of any length `most` items, evenly spread; fewer than twice as many are held."""

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
