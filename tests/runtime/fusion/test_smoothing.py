"""Smoothing reduces noise, follows motion and is rotation-equivariant."""

import numpy as np

from runtime.fusion.smoothing import OneEuroFilter
from tests.runtime.hands import flexed_hand, random_rotation

FRAME_NS = 33_000_000


def filtered(points: np.ndarray) -> np.ndarray:
    smooth = OneEuroFilter()
    return np.stack([smooth(i * FRAME_NS, p) for i, p in enumerate(points)])


def test_a_still_hand_passes_unchanged():
    hands = np.repeat(flexed_hand()[None], 5, 0)
    np.testing.assert_allclose(filtered(hands), hands)


def test_noise_on_a_still_hand_is_smoothed():
    rng = np.random.default_rng(0)
    hands = flexed_hand() + rng.normal(0, 0.01, (300, 21, 3))
    assert filtered(hands)[50:].std(0).mean() < 0.6 * hands[50:].std(0).mean()


def test_a_fast_hand_is_followed_within_two_frames():
    path = np.linspace(0, 10, 100)[:, None, None] * np.array([1.0, 0, 0]) + flexed_hand()
    lag = (path - filtered(path))[-1, :, 0].mean() / (path[1] - path[0])[0, 0]
    assert 0 <= lag < 2


def test_smoothing_is_rotation_equivariant():
    rng = np.random.default_rng(1)
    hands, R = flexed_hand() + rng.normal(0, 0.05, (20, 21, 3)).cumsum(0), random_rotation(rng)
    np.testing.assert_allclose(filtered(hands @ R.T), filtered(hands) @ R.T, atol=1e-12)


def test_time_going_back_or_a_long_gap_resets_the_filter():
    smooth, hand = OneEuroFilter(), flexed_hand()
    for time_ns in (10**9, 10**9 + FRAME_NS, 0, 10**10):
        hand = hand + 1
        out = smooth(time_ns, hand)
        if time_ns != 10**9 + FRAME_NS:
            np.testing.assert_array_equal(out, hand)
        else:
            assert not np.allclose(out, hand)
