"""Black, overexposed and empty pictures are named; dark ones with something bright, and those that show a hand, are not."""

import numpy as np
import pytest

from capture.views import PerView
from runtime.watch.exposure import Exposure
from runtime.watch.watched import WatchedPair
from tests.runtime.watch.watching import UNSEEN, both, noisy, scene, show_pictures, watched

RNG = np.random.default_rng(0)
ROOM = scene(1)


def pairs(left: np.ndarray, *, seen: bool = False, count: int = 90) -> list[WatchedPair]:
    return [watched(n, both() if seen else UNSEEN, images=PerView(noisy(left, RNG), ROOM)) for n in range(count)]


@pytest.mark.parametrize(("level", "names"), [(3, "is black (mean 3 of 255)"), (255, "is overexposed"), (120, "shows nothing")])
def test_a_picture_that_can_show_no_hand_is_named(level, names):
    (finding,) = show_pictures(Exposure(), pairs(np.full((240, 320, 3), level, np.uint8)))
    assert (finding.kind, finding.view, finding.level) == ("picture_unusable", "left", "warning")
    assert names in finding.text


def test_a_lit_room_and_a_lamp_in_the_dark_are_fine():
    lamp = np.full((240, 320, 3), 3, np.uint8)
    lamp[100:140, 100:140] = 200
    assert not show_pictures(Exposure(), pairs(ROOM))
    assert not show_pictures(Exposure(), pairs(lamp))


def test_a_picture_that_shows_a_hand_is_fine():
    assert not show_pictures(Exposure(), pairs(np.full((240, 320, 3), 3, np.uint8), seen=True))


def test_a_moment_and_an_absent_view_are_not_reported():
    black = np.zeros((240, 320, 3), np.uint8)
    assert not show_pictures(Exposure(), pairs(black, count=50))
    assert not show_pictures(Exposure(), [watched(n, images=PerView(black, ROOM), absent="left") for n in range(90)])
