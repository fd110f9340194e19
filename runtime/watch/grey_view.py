"""Whether views give grey pictures, which a network that was taught in colour reads worse."""

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.findings import Finding
from runtime.watch.watched import Picture, WatchedPair

GREY_LEVELS = 10.0
"""Difference of a pixel's largest and smallest channel, of 255, up to which it is grey: what coding and noise make of it."""
GREY_SHARE = 0.99
"""Share of a picture's pixels that are grey in a grey one; a hand in colour is far more than a hundredth."""
DARK_MEAN = 16.0
"""Of 255: darker pictures have no colour anyway."""
LOOKS = 10
"""Pictures in a row, five a second, that are grey before it is said, and that are not before it is withdrawn."""


class GreyView:
    """A `PictureWatcher`."""

    def __init__(self) -> None:
        self._looks = PerView(0, 0)
        """In a row: grey ones positive, coloured ones negative."""
        self._grey = PerView(False, False)

    def look(self, watched: WatchedPair, pictures: PerView[Picture | None]) -> None:
        """See `PictureWatcher`."""

        def looks(view: View) -> int:
            picture, before = pictures[view], self._looks[view]
            grey = None if picture is None else is_grey(picture.samples)
            if grey is None:
                return before
            return max(before, 0) + 1 if grey else min(before, 0) - 1

        self._looks = PerView.of(looks)
        self._grey = PerView.of(lambda view: self._looks[view] > -LOOKS if self._grey[view] else self._looks[view] >= LOOKS)

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        grey: list[View] = [view for view in VIEWS if self._grey[view]]
        if not grey:
            return []
        what = "both pictures have" if len(grey) == 2 else f"the {grey[0]} picture has"
        text = (
            f"{what} no colour, and the networks of --estimator detnet were taught in colour: they miss hands in grey pictures "
            "and get their poses wrong; switch the camera to colour, or compare with --estimator mediapipe (docs/results.md, "
            "Colours)"
        )
        return [Finding("grey_frames", text, view=None if len(grey) == 2 else grey[0])]


def is_grey(samples: np.ndarray) -> bool | None:
    """Whether pixels (N, 3) uint8 RGB have no colour; None where they are too dark to tell."""
    if samples.mean() < DARK_MEAN:
        return None
    return bool((np.ptp(samples.astype(np.int16), axis=1) <= GREY_LEVELS).mean() >= GREY_SHARE)
