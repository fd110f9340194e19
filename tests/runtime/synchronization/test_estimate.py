"""The shift between two views: found where a hand moves, not found where it does not."""

import math

import numpy as np
import pytest

from capture.views import PerView
from runtime.synchronization.epipolar import epipolar_lag
from runtime.synchronization.estimate import contradict_pairing, find_lag, refine_lag
from runtime.synchronization.motion import HandMotion
from runtime.synchronization.rate import find_rate
from tests.runtime.synchronization.motions import clips, still


@pytest.mark.parametrize("lag_s", [-1.513, -0.1, 0.0, 0.0167, 0.5, 2.24])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_known_shift_is_found_to_a_fraction_of_a_frame(lag_s, seed):
    motions = clips(lag_s, seed=seed)
    coarse = find_lag(motions)
    assert coarse is not None and coarse.certain
    assert abs(coarse.lag_s - lag_s) < 4 * coarse.sigma_s < 0.2
    fine = refine_lag(motions, coarse)
    assert abs(fine.lag_s - lag_s) < 0.01 and abs(fine.lag_s - lag_s) < 4 * fine.sigma_s


def test_exchanged_views_have_the_opposite_shift():
    motions = clips(0.4)
    there, back = find_lag(motions), find_lag(PerView(motions.right, motions.left))
    assert there is not None and back is not None
    assert back.lag_s == pytest.approx(-there.lag_s, abs=0.002)
    assert back.correlation == pytest.approx(there.correlation, abs=1e-6)


def test_times_that_both_begin_later_change_nothing():
    motions = clips(0.4)
    later = motions.map(lambda motion: HandMotion(motion.times_s + 1234.5, motion.pixels))
    before, after = find_lag(motions), find_lag(later)
    assert before is not None and after is not None and after.lag_s == pytest.approx(before.lag_s, abs=0.002)


@pytest.mark.parametrize("noise_px", [0.3, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_hand_that_stands_still_tells_nothing(noise_px, seed):
    lag = find_lag(still(seed=seed, noise_px=noise_px))
    assert lag is None or not lag.certain


@pytest.mark.parametrize("seed", range(6))
def test_two_hands_that_move_by_themselves_have_no_shift(seed):
    lag = find_lag(PerView(clips(0, seed=seed).left, clips(0, seed=seed + 50).right))
    assert lag is None or not lag.certain


def test_a_periodic_motion_has_several_shifts_and_so_none():
    motions = clips(0.0, seconds=3)
    twice = motions.map(
        lambda motion: HandMotion(np.concatenate([motion.times_s + 3 * k for k in range(4)]), np.tile(motion.pixels, (4, 1, 1)))
    )
    lag = find_lag(twice)
    assert lag is not None and not lag.certain


def test_clips_that_share_no_time_and_views_without_a_hand_have_none():
    motions = clips(0.0, seconds=1.5)
    assert find_lag(motions) is None
    assert find_lag(PerView(motions.left, HandMotion.of([]))) is None


def test_the_search_may_be_bounded():
    lag = find_lag(clips(2.0), max_lag_s=0.5)
    assert lag is None or (abs(lag.lag_s) < 0.7 and not lag.certain)


def test_noise_makes_the_uncertainty_larger():
    quiet, noisy = (epipolar_lag(clips(0.2, noise_px=noise_px), 0.21) for noise_px in (0.3, 8.0))
    assert quiet is not None and abs(quiet.lag_s - 0.2) < 0.004
    assert noisy is None or noisy.sigma_s > 2 * quiet.sigma_s


def test_palms_of_a_hand_that_stands_still_fit_at_every_shift():
    fine = epipolar_lag(still(), 0.0)
    assert fine is None or fine.sigma_s > 0.01


@pytest.mark.parametrize("frames", [0, 1, 2, 60, 62, 64, 66])
def test_hands_that_hardly_share_enough_time_have_no_shift(frames):
    motions = clips(0.0).map(lambda motion: HandMotion(motion.times_s[:frames], motion.pixels[:frames]))
    assert find_lag(motions) is None
    assert find_rate(motions) is None


@pytest.mark.parametrize("seed", range(4))
def test_hands_that_are_seen_now_and_then_raise_nothing(seed):
    rng = np.random.default_rng(seed)

    def seen_at_times(motion: HandMotion) -> HandMotion:
        kept = np.repeat(rng.random(len(motion.times_s) // 12 + 1) < 0.45, 12)[: len(motion.times_s)]
        return HandMotion(motion.times_s[kept], motion.pixels[kept])

    lag = find_lag(clips(0.0, seed=seed).map(seen_at_times))
    assert lag is None or math.isfinite(lag.sigma_s)


@pytest.mark.parametrize("seed", range(3))
def test_hands_in_step_never_contradict_their_pairing_however_badly_they_are_seen(seed):
    for noise_px in (1.0, 10.0, 30.0):
        assert not contradict_pairing(clips(0.0, seed=seed, noise_px=noise_px)), noise_px


@pytest.mark.parametrize("seed", range(3))
def test_hands_that_are_seen_half_of_the_time_contradict_nothing(seed):
    motions = PerView(clips(0, seed=seed).left, clips(0, seed=seed + 50).right)
    half = np.arange(len(motions.right.times_s)) // 30 % 2 == 0
    assert not contradict_pairing(PerView(motions.left, HandMotion(motions.right.times_s[half], motions.right.pixels[half])))


def test_most_hands_that_move_by_themselves_contradict_their_pairing():
    others = [PerView(clips(0, seed=seed).left, clips(0, seed=seed + 50).right) for seed in range(8)]
    assert sum(contradict_pairing(motions) for motions in others) >= 6
