"""The rate between two views: found, and said to be none where hands do not move alike at any."""

import pytest

from capture.views import PerView
from runtime.synchronization.rate import find_rate, in_real_time
from tests.runtime.synchronization.motions import clips, still


@pytest.mark.parametrize("rate", [1.0, 1.2, 2.0, 8.0])
def test_a_known_rate_and_the_shift_at_it_are_found(rate):
    found = find_rate(clips(0.3, rate))
    assert found is not None and found.certain
    assert found.factor == pytest.approx(rate, rel=2e-3)
    assert found.lag.lag_s == pytest.approx(0.3, abs=0.03)


def test_exchanged_views_have_the_inverse_rate():
    motions = clips(0.3, 2.0)
    found = find_rate(PerView(motions.right, motions.left))
    assert found is not None and found.certain and found.factor == pytest.approx(0.5, rel=2e-3)
    assert found.lag.lag_s == pytest.approx(-0.3, abs=0.03)


def test_both_motions_are_brought_to_the_time_of_the_faster_view():
    motions = clips(0.0, 4.0, seconds=3)
    for factor, order in ((4.0, motions), (0.25, PerView(motions.right, motions.left))):
        real = in_real_time(order, factor)
        assert [motion.duration_s for motion in real] == pytest.approx([3, 3], abs=0.05)


@pytest.mark.parametrize("seed", range(2))
def test_hands_that_do_not_move_alike_have_no_rate(seed):
    apart = find_rate(PerView(clips(0, seed=seed).left, clips(0, seed=seed + 50).right))
    assert apart is None or not apart.certain
    resting = find_rate(still(seed=seed))
    assert resting is None or not resting.certain
