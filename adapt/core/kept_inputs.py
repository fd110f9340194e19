"""What the learning part of a network reads of samples, kept while the samples come again: live, and pair by pair."""

from dataclasses import replace

import torch
from torch import Tensor

from adapt.core.learner import kept_inputs, learner_of
from adapt.core.targets import Recipe
from adapt.core.training_samples import TrainingSet
from capture.views import PerView
from runtime.networks.network import HandNetwork

_RECIPE = Recipe()


class KeptInputs:
    """Inputs of the samples that were used last, by their capture time."""

    def __init__(self, network: HandNetwork, most: int, recipe: Recipe = _RECIPE):
        """Of `most` samples, for `network` and all that differ from it in what learns alone."""
        self._network, self._most, self._recipe = network, most, recipe
        self._kept: dict[int, PerView[Tensor]] = {}

    def __call__(self, samples: TrainingSet) -> TrainingSet:
        """The samples with their inputs; as they are for networks that read crops themselves."""
        if not learner_of(self._network).keeps_inputs:
            return samples
        times = [sample.captured_ns for sample in samples.samples]
        missing = [row for row, time in enumerate(times) if time not in self._kept]
        if missing:
            fresh = samples.pairs.images.map(lambda images: kept_inputs(self._network, images[missing], self._recipe))
            for number, row in enumerate(missing):
                self._kept[times[row]] = PerView(fresh.left[number], fresh.right[number])
        found = [self._kept.pop(time) for time in times]
        self._kept |= dict(zip(times, found, strict=True))
        for time in list(self._kept)[: -self._most]:
            del self._kept[time]
        inputs = PerView.of(lambda view: torch.stack([of_sample[view] for of_sample in found]))
        return replace(samples, pairs=replace(samples.pairs, inputs=inputs))
