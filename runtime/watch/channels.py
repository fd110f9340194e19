"""Whether hands are found in a view's pictures only once red and blue are exchanged, as where BGR is sent for RGB."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from capture.views import VIEWS, PerView, View
from hand.findings import Finding
from runtime.types import HandBox
from runtime.watch.watched import WatchedPair

Locate = Callable[[np.ndarray, View], Sequence[HandBox]]
"""Boxes of the hands in an image (H, W, 3) uint8 RGB, best first."""

WITHOUT_HAND_NS = 1_000_000_000
"""A view that sees no hand for this long is tried."""
FIRST_TRIES = 10
"""Of a view that sees no hand: soon after each other, then now and then, as the room may just be empty."""
SOON_NS, NOW_AND_THEN_NS = 500_000_000, 3_000_000_000
"""Between two tries; where hands are seen they may be wrong ones, which is tried now and then too."""
TRIES, MIN_TRIES = 8, 5
MIN_SCORE, MIN_GAIN, MIN_SHARE = 0.4, 0.2, 0.8
"""The locator's score of the exchanged picture, its mean gain over the picture as it came, and the share of such tries."""


class _Scores(NamedTuple):
    """The locator's best scores of one picture, 0 where it finds no hand."""

    as_sent: float
    exchanged: float


@dataclass(slots=True)
class _State:
    scores: deque[_Scores] = field(default_factory=lambda: deque(maxlen=TRIES))
    began_ns: int | None = None
    """When its first picture came."""
    tried_ns: int | None = None
    hand_ns: int | None = None
    """When it saw a hand last; before the first, when its first picture came."""
    tries: int = 0
    """Since then."""


class ExchangedChannels:
    """A `Watcher`. Cheap: a view is tried a few times in a row and then every few seconds, one view at a pair."""

    def __init__(self, load_locator: Callable[[], Locate]) -> None:
        """`load_locator` is called once a view is to be tried."""
        self._load_locator = load_locator
        self._locate: Locate | None = None
        self._views = PerView(_State(), _State())

    def take(self, watched: WatchedPair) -> None:
        """See `Watcher`."""
        for view, state in self._views.items():
            if watched.pair[view].absent:
                continue
            state.began_ns = watched.captured_ns if state.began_ns is None else state.began_ns
            if watched.hands[view] is not None or state.hand_ns is None:
                state.hand_ns, state.tries = watched.captured_ns, 0
        due: list[View] = [
            view for view in VIEWS if not watched.pair[view].absent and self._is_due(self._views[view], watched.captured_ns)
        ]
        if due:
            self._try(due[0], watched.pair[due[0]].image, watched.captured_ns)

    @property
    def findings(self) -> list[Finding]:
        """See `Watcher`."""
        return [finding for view in VIEWS if (finding := self._finding(view)) is not None]

    def _is_due(self, state: _State, now_ns: int) -> bool:
        if state.began_ns is None or state.hand_ns is None:
            return False
        unseen = abs(now_ns - state.hand_ns) >= WITHOUT_HAND_NS
        since_ns = state.began_ns if state.tried_ns is None else state.tried_ns
        return abs(now_ns - since_ns) >= (SOON_NS if unseen and state.tries < FIRST_TRIES else NOW_AND_THEN_NS)

    def _try(self, view: View, image: np.ndarray, now_ns: int) -> None:
        state = self._views[view]
        self._locate = locate = self._locate or self._load_locator()
        as_sent, exchanged = (
            max((box.score for box in locate(each, view)), default=0.0)
            for each in (image, np.ascontiguousarray(image[..., ::-1]))
        )
        state.scores.append(_Scores(as_sent, exchanged))
        state.tried_ns, state.tries = now_ns, state.tries + 1

    def _finding(self, view: View) -> Finding | None:
        scores = self._views[view].scores
        found = sum(one.exchanged >= MIN_SCORE and one.exchanged > one.as_sent for one in scores)
        gain = sum(one.exchanged - one.as_sent for one in scores) / max(len(scores), 1)
        if len(scores) < MIN_TRIES or found < MIN_SHARE * len(scores) or gain < MIN_GAIN:
            return None
        as_sent = sum(one.as_sent >= MIN_SCORE for one in scores)
        text = (
            f"red and blue seem to be exchanged in the {view} pictures: with them exchanged back a hand is found in {found} of "
            f"{len(scores)}, as they are in {as_sent}; send RGB (OpenCV's pictures are BGR), unless the hand wears a blue glove"
        )
        return Finding("channels_exchanged", text, view=view)
