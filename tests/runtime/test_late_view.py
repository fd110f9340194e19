"""A camera that comes late is set up by its own first frame, and only where it is not as assumed."""

import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.views import VIEWS, View, other
from runtime.late_view import LateView


def frame(view: View, size_px: tuple[int, int] = (64, 48), fov_deg: float | None = None) -> Frame:
    width, height = size_px
    return Frame(view, 0, 0, 0, np.ones((height, width, 3), np.uint8), fov_deg)


def pair_of(present: Frame, partner: Frame) -> FramePair:
    return FramePair(present, partner) if present.view == "left" else FramePair(partner, present)


class Listed:
    """Pairs from a list."""

    def __init__(self, *pairs: FramePair | None) -> None:
        self._pairs = list(pairs)

    @property
    def ended(self) -> bool:
        return not self._pairs

    def next_pair(self, timeout_s: float) -> FramePair | None:
        return self._pairs.pop(0) if self._pairs else None


@pytest.mark.parametrize("late", VIEWS)
@pytest.mark.parametrize(
    ("came", "anew"),
    [
        (frame("left"), False),
        (frame("left", (32, 24)), True),
        (frame("left", (48, 64)), True),
        (frame("left", fov_deg=80.0), True),
    ],
)
def test_cameras_are_set_up_anew_once_where_the_late_one_is_not_as_assumed(late, came, anew):
    here = frame(other(late))
    came = Frame(late, came.seq, 0, 0, came.image, came.fov_deg)
    without, complete = pair_of(here, Frame.before_first(late, here, None, None)), pair_of(here, came)
    set_up: list[FramePair] = []
    pairs = LateView(Listed(without, None, complete, without, complete), without, set_up.append)
    given = [pairs.next_pair(0) for _ in range(5)]
    assert given == [without, None, complete, without, complete] and pairs.ended
    # With the first pair that has it, before that is given.
    assert set_up == ([complete] if anew else [])


def test_cameras_that_were_both_there_are_left_alone():
    both = FramePair(frame("left"), frame("right"))
    pairs = LateView(Listed(FramePair(frame("left"), frame("right", (32, 24)))), both, lambda pair: pytest.fail("set up anew"))
    assert pairs.next_pair(0) is not None
