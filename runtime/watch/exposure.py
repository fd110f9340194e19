"""Whether a view's picture is black, overexposed or without any detail, so that no hand can be seen in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capture.views import PerView, View
from hand.findings import Finding
from runtime.watch.watched import Picture, WatchedPair

BLACK_MEAN, BLACK_BRIGHTEST = 16.0, 40.0
"""Of 255: the mean and the 99 % quantile up to which a picture is black."""
WHITE_LEVEL, WHITE_SHARE = 250.0, 0.8
"""A picture is overexposed where so large a share is as bright as can be."""
FLAT_CONTRAST = 4.0
"""Standard deviation of the brightness below which a picture shows nothing."""
LOOKS = 10
"""Pictures in a row, five a second, in which it is so and no hand was seen."""

Fault = Literal["black", "overexposed", "flat"]


@dataclass(slots=True)
class _State:
    fault: Fault | None = None
    looks: int = 0
    mean: float = 0.0
    hands: bool = False
    """Whether a hand was seen since the last look: then there was light enough."""


class Exposure:
    """A `PictureWatcher`."""

    def __init__(self) -> None:
        self._views = PerView(_State(), _State())

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """See `PictureWatcher`."""
        for view, state in self._views.items():
            picture = pictures[view]
            fault = None if picture is None or state.hands else fault_of(picture.thumbnail)
            state.looks = state.looks + 1 if fault == state.fault else 1
            state.fault, state.hands = fault, False
            if picture is not None and fault is not None:
                state.mean = float(picture.thumbnail.mean())

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        for view, state in self._views.items():
            state.hands |= watched.hands[view] is not None

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [
            _finding(view, state.fault, state.mean)
            for view, state in self._views.items()
            if state.fault is not None and state.looks >= LOOKS
        ]


def fault_of(thumbnail: np.ndarray) -> Fault | None:
    """What is wrong with a picture's brightness, by its thumbnail (48, 64); None where nothing is."""
    if thumbnail.mean() <= BLACK_MEAN and np.quantile(thumbnail, 0.99) <= BLACK_BRIGHTEST:
        return "black"
    if (thumbnail >= WHITE_LEVEL).mean() >= WHITE_SHARE:
        return "overexposed"
    return "flat" if thumbnail.std() <= FLAT_CONTRAST else None


def _finding(view: View, fault: Fault, mean: float) -> Finding:
    match fault:
        case "black":
            text = (
                f"the {view} picture is black (mean {mean:.0f} of 255): take the cover off its lens, make light, or raise its "
                "exposure"
            )
        case "overexposed":
            text = (
                f"the {view} picture is overexposed (mean {mean:.0f} of 255): lower its exposure (--exposure), or take light away"
            )
        case "flat":
            text = (
                f"the {view} picture shows nothing (all of one brightness, mean {mean:.0f} of 255): see whether its lens is "
                "covered, or whether this is the right device"
            )
    return Finding("picture_unusable", text, view=view)
