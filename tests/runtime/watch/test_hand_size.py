"""A hand that is small for long is reported for its view, with its size."""

from capture.views import PerView
from runtime.watch.hand_size import HandSize
from tests.runtime.watch.watching import both, show, watched


def test_a_hand_that_stays_small_is_reported_with_its_size():
    small = PerView(both(px=21.0).left, both().right)
    (finding,) = show(HandSize(), [watched(n, small) for n in range(90)])
    assert (finding.kind, finding.view, finding.level) == ("hand_too_small", "left", "warning")
    assert "only 21 px" in finding.text


def test_a_hand_that_is_small_for_a_moment_is_not():
    sizes = [21.0] * 20 + [100.0] * 70
    assert not show(HandSize(), [watched(n, both(px=px)) for n, px in enumerate(sizes)])
    assert not show(HandSize(), [watched(n, both(px=21.0)) for n in range(20)])


def test_it_is_withdrawn_once_the_hand_comes_nearer():
    sizes = [21.0] * 90 + [100.0] * 60
    assert not show(HandSize(), [watched(n, both(px=px)) for n, px in enumerate(sizes)])
