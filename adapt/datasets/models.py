"""What several runs over data sets share in one process: networks, annotations, and what was seen of hands, each loaded once."""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from adapt.core.rehearsal import draw_bank
from adapt.datasets.assembly_hands import AssemblyHands
from adapt.datasets.predictions import DatasetPredictions
from hand.synth.crops import SyntheticCrops
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest, load_network

SplitPredictions = tuple[list[DatasetPredictions], list[DatasetPredictions]]
"""At pairs to adapt to, and at pairs to test on."""
_LOOKS_HELD = 2


REHEARSED = 600
"""Drawn hands to rehearse; they take ten seconds of a core."""


def _bank(crop_size: int, seed: int) -> SyntheticCrops:
    return draw_bank(REHEARSED, crop_size, seed)


class Models:
    """Networks, annotations and looks that several runs share; the newest of each are held."""

    def __init__(self) -> None:
        self._network = lru_cache(2)(load_network)
        self._hands = lru_cache(2)(AssemblyHands)
        self.bank = lru_cache(1)(_bank)
        """Drawn hands to rehearse, by the crops' size and the seed."""
        self._looked: OrderedDict[tuple[object, ...], SplitPredictions] = OrderedDict()

    def network(self, file: Path) -> tuple[HandNetwork, Manifest]:
        """The same object each time: whoever changes it copies it."""
        return self._network(file)

    def hands(self, root: Path, split: str, cache: Path | None) -> AssemblyHands:
        return self._hands(root, split, cache)

    def looked(self, of: tuple[object, ...], look: Callable[[], SplitPredictions]) -> SplitPredictions:
        """What `look` gives, called once for what it is `of`."""
        if of not in self._looked:
            self._looked[of] = look()
            while len(self._looked) > _LOOKS_HELD:
                self._looked.popitem(last=False)
        self._looked.move_to_end(of)
        return self._looked[of]
