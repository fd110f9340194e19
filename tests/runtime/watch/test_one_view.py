"""A view that sees nearly no hand while the other one does is named; absent cameras and hands that nobody sees are not."""

from capture.views import PerView
from runtime.watch.one_view import OneView
from tests.runtime.watch.watching import UNSEEN, both, show, watched

RIGHT_ONLY = PerView(None, both().right)


def test_the_view_that_sees_no_hand_is_named_with_both_shares():
    (finding,) = show(OneView(), [watched(n, UNSEEN if n % 10 == 0 else RIGHT_ONLY) for n in range(300)])
    assert (finding.kind, finding.view) == ("one_view_only", "left")
    assert "0 % of the last 300 pairs" in finding.text and "90 %" in finding.text


def test_a_hand_that_both_or_none_see_is_not():
    assert not show(OneView(), [watched(n, both()) for n in range(300)])
    assert not show(OneView(), [watched(n) for n in range(300)])


def test_a_view_that_sees_it_now_and_then_is_not():
    assert not show(OneView(), [watched(n, both() if n % 10 == 0 else RIGHT_ONLY) for n in range(300)])


def test_the_first_seconds_and_absent_views_say_nothing():
    assert not show(OneView(), [watched(n, RIGHT_ONLY) for n in range(90)])
    assert not show(OneView(), [watched(n, RIGHT_ONLY, absent="left") for n in range(300)])
