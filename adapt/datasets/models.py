"""What several runs over data sets share in one process: networks, annotations and predictions, each loaded or made once."""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from adapt.core.rehearsal import render_bank
from adapt.datasets.assembly_hands import AssemblyHands
from adapt.datasets.predictions import DatasetPredictions
from hand.synth.crops import SyntheticCrops
from runtime.estimators.adaptable_networks import load_adaptable
from runtime.estimators.framing import Framing
from runtime.estimators.registry import AdaptableName
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

SplitPredictions = tuple[list[DatasetPredictions], list[DatasetPredictions]]
"""For pairs to adapt to, and for pairs to test on."""
_HELD = 2


REHEARSED = 600
"""Synthetic hands for rehearsal; rendering takes ten seconds of a core."""


def _bank(crop_size: int, framing: Framing, seed: int) -> SyntheticCrops:
    return render_bank(REHEARSED, crop_size, framing, seed)


class Models:
    """Networks, annotations and predictions that several runs share; the latest of each are held."""

    def __init__(self) -> None:
        self._network = lru_cache(2)(load_adaptable)
        self._hands = lru_cache(2)(AssemblyHands)
        self.bank = lru_cache(1)(_bank)
        """Synthetic hands for rehearsal, by crop size, framing and seed."""
        self._predictions: OrderedDict[tuple[object, ...], SplitPredictions] = OrderedDict()

    def network(self, estimator: AdaptableName, file: Path) -> tuple[HandNetwork, Manifest]:
        """The same object each time: whoever changes it copies it. Raises UserError for weights that are another estimator's."""
        return self._network(estimator, file)

    def hands(self, root: Path, split: str, cache: Path | None) -> AssemblyHands:
        return self._hands(root, split, cache)

    def predictions(self, of: tuple[object, ...], predict: Callable[[], SplitPredictions]) -> SplitPredictions:
        """The result of `predict`, called once for each key `of`."""
        if of not in self._predictions:
            self._predictions[of] = predict()
            while len(self._predictions) > _HELD:
                self._predictions.popitem(last=False)
        self._predictions.move_to_end(of)
        return self._predictions[of]
