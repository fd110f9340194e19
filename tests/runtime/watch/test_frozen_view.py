"""A picture that stands still while the other changes is found; a still scene, noise and an absent view are not."""

import numpy as np
import pytest

from capture.views import PerView
from runtime.types import ViewHand
from runtime.watch.frozen_view import FrozenView
from runtime.watch.watched import WatchedPair
from tests.runtime.watch.watching import both, noisy, scene, show_pictures, view_hand, watched, with_hand

RNG = np.random.default_rng(0)
LEFT, RIGHT = scene(1), scene(2)


def pairs(
    first: int, last: int, *, right_stands_at: int | None, seen: bool = True, moves: bool = True, noise: float = 0.0
) -> list[WatchedPair]:
    """Pairs of a hand that moves in the left view; from one pair on, the right view repeats its picture."""

    def images(number: int) -> PerView[np.ndarray]:
        right = number if right_stands_at is None else min(number, right_stands_at)
        return PerView(with_hand(LEFT, number), noisy(with_hand(RIGHT, right), RNG, noise) if noise else with_hand(RIGHT, right))

    def hands(number: int) -> PerView[ViewHand | None]:
        at_px = 200 + 100 * np.sin(number / 5) if moves else 200
        return PerView(view_hand("left", at_px=float(at_px)), view_hand("right") if seen else None)

    return [watched(number, hands(number), images=images(number)) for number in range(first, last)]


def test_a_view_that_stands_still_is_named_with_the_time_within_two_seconds():
    (finding,) = show_pictures(FrozenView(), pairs(0, 120, right_stands_at=60))
    assert (finding.kind, finding.view, finding.level) == ("view_frozen", "right", "error")
    assert "since 2.0 s" in finding.text


def test_a_view_that_moves_again_is_no_longer_frozen_but_hands_of_that_time_stay_wrong():
    watcher = FrozenView()
    assert show_pictures(watcher, pairs(0, 100, right_stands_at=30))
    (finding,) = show_pictures(watcher, pairs(100, 120, right_stands_at=None))
    assert (finding.kind, finding.view, finding.level) == ("view_frozen", "right", "warning")
    assert "from 1.0 to 3.4 s," in finding.text
    assert show_pictures(watcher, pairs(120, 190, right_stands_at=130))[0].level == "error"
    (finding,) = show_pictures(watcher, pairs(190, 210, right_stands_at=None))
    assert "and 1 time before" in finding.text


@pytest.mark.parametrize("offset", range(6))
def test_a_view_that_stands_still_for_one_second_is_found_whenever_it_is_looked_at(offset):
    watcher = FrozenView()
    show_pictures(watcher, pairs(0, 60 + offset, right_stands_at=None))
    show_pictures(watcher, pairs(60 + offset, 91 + offset, right_stands_at=60 + offset))
    (finding,) = show_pictures(watcher, pairs(91 + offset, 120, right_stands_at=None))
    assert finding.view == "right"


def test_a_still_scene_that_moves_again_harmed_nothing():
    watcher = FrozenView()
    assert show_pictures(watcher, pairs(0, 160, right_stands_at=0, seen=False))
    assert not show_pictures(watcher, pairs(160, 180, right_stands_at=None, seen=False))


def test_moving_views_are_not_frozen():
    assert not show_pictures(FrozenView(), pairs(0, 120, right_stands_at=None))


def test_a_still_scene_with_a_sensors_noise_is_not_frozen():
    assert not show_pictures(FrozenView(), pairs(0, 120, right_stands_at=0, noise=1.0))


def test_nothing_is_said_where_both_views_stand_still():
    still = [watched(number, both(), images=PerView(LEFT, RIGHT)) for number in range(120)]
    assert not show_pictures(FrozenView(), still)


@pytest.mark.parametrize("shown", [{"seen": False}, {"moves": False}])
@pytest.mark.parametrize(("last", "found"), [(75, False), (160, True)])
def test_a_view_without_a_moving_hand_may_stand_still_for_longer_and_fails_no_run(last, found, shown):
    """A still scene may be coded as one picture while somebody walks through the other view."""
    findings = show_pictures(FrozenView(), pairs(0, last, right_stands_at=0, **shown))
    assert [finding.level for finding in findings] == ["warning"] * found


def test_an_absent_view_is_not_frozen():
    absent = [watched(n, both(), images=PerView(with_hand(LEFT, n), RIGHT), absent="right") for n in range(120)]
    assert not show_pictures(FrozenView(), absent)
