"""A camera whose first frame comes when the run has begun without it: what was assumed of it gives way to what it is."""

import logging
from collections.abc import Callable

from capture.frames import Frame, FramePair
from capture.views import VIEWS
from runtime.loop import PairSource

log = logging.getLogger(__name__)


class LateView:
    """Passes pairs on. Where the first one lacked a view, and the view then comes otherwise than assumed, calls `set_up` with the
    first pair that has it, before that is processed.

    Nothing is lost by that: what is learnt of two cameras is learnt from pairs of both.
    """

    def __init__(self, pairs: PairSource, first: FramePair, set_up: Callable[[FramePair], object]) -> None:
        self._pairs = pairs
        self._set_up = set_up
        self._assumed: Frame | None = next((first[view] for view in VIEWS if first[view].absent), None)

    @property
    def ended(self) -> bool:
        return self._pairs.ended

    def next_pair(self, timeout_s: float) -> FramePair | None:
        pair = self._pairs.next_pair(timeout_s)
        if pair is None or self._assumed is None or pair[self._assumed.view].absent:
            return pair
        assumed, came, self._assumed = self._assumed, pair[self._assumed.view], None
        if came.image.shape != assumed.image.shape or came.fov_deg != assumed.fov_deg:
            height, width = came.image.shape[:2]
            log.info(f"{came.view} camera: it has come, {width}x{height} px; both cameras are set up anew")
            self._set_up(pair)
        return pair
