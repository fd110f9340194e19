"""The rotation estimate is robust to noise, outliers and flat hands, and its uncertainty matches its error."""

import numpy as np
import pytest

from hand.joints import unit_hand
from hand.rotations import angle_deg, from_vector
from runtime.geometry.rotation_estimator import RotationEstimator
from tests.runtime.hands import flexed_hand, moving_hand, random_rotation

FACING = from_vector(np.radians(165) * np.array([0.1, 0.99, 0.1]) / np.linalg.norm([0.1, 0.99, 0.1]))
FRAME_NS = 33_000_000


def seen(rng: np.random.Generator, hands: np.ndarray, noise: float) -> np.ndarray:
    """Hands as a network predicts them: noisy unit hands."""
    return unit_hand(hands + rng.normal(0, noise, hands.shape))


def fed(hands: np.ndarray, right: np.ndarray, estimator: RotationEstimator | None = None) -> RotationEstimator:
    estimator = estimator or RotationEstimator()
    for i, (a, b) in enumerate(zip(hands, right, strict=True)):
        estimator.update(i * FRAME_NS, a, b, np.ones(21))
    return estimator


def test_without_noise_it_is_exact_from_the_first_pair():
    rng = np.random.default_rng(0)
    R = random_rotation(rng)
    hands = moving_hand(rng, 1)
    estimator = fed(hands, hands @ R.T)
    assert estimator.rotation is not None and angle_deg(estimator.rotation, R) < 1e-5
    assert estimator.uncertainty_deg == float("inf"), "one pair cannot know its own error"


@pytest.mark.parametrize("seed", range(6))
def test_ten_noisy_pairs_with_outliers_are_enough(seed):
    rng = np.random.default_rng(seed)
    hands = moving_hand(rng, 10)
    right = seen(rng, hands @ FACING.T, 0.1)
    for i in rng.choice(10, 3, replace=False):
        right[i] = right[i] @ random_rotation(rng).T
    estimator = fed(seen(rng, hands, 0.1), right)
    assert estimator.rotation is not None and angle_deg(estimator.rotation, FACING) < 9


@pytest.mark.parametrize("seed", range(4))
def test_consistent_outliers_do_not_bias_the_rotation(seed):
    rng = np.random.default_rng(seed)
    hands, wrong = moving_hand(rng, 80), random_rotation(rng)
    right = seen(rng, hands @ FACING.T, 0.1)
    bad = rng.choice(80, 24, replace=False)
    right[bad] = seen(rng, hands[bad] @ wrong.T, 0.1)
    estimator = fed(seen(rng, hands, 0.1), right)
    assert estimator.rotation is not None and angle_deg(estimator.rotation, FACING) < 3


def test_flat_hands_give_rotations_not_reflections():
    rng = np.random.default_rng(1)
    hands = np.stack([flexed_hand(0) @ from_vector(rng.normal(0, 0.5, 3)).T for _ in range(40)])
    estimator = fed(seen(rng, hands, 0.2), seen(rng, hands @ FACING.T, 0.2))
    assert estimator.rotation is not None
    assert np.linalg.det(estimator.rotation) == pytest.approx(1)
    assert angle_deg(estimator.rotation, FACING) < 5


@pytest.mark.parametrize(("noise", "outliers"), [(0.05, 0.0), (0.2, 0.0), (0.2, 0.3)])
def test_uncertainty_matches_the_actual_error(noise, outliers):
    errors, said = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        hands = moving_hand(rng, 30)
        right = seen(rng, hands @ FACING.T, noise)
        for i in np.flatnonzero(rng.random(30) < outliers):
            right[i] = right[i] @ random_rotation(rng).T
        estimator = fed(seen(rng, hands, noise), right)
        assert estimator.rotation is not None
        errors.append(angle_deg(estimator.rotation, FACING))
        said.append(estimator.uncertainty_deg)
    ratio = np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(said)))
    assert 0.6 < ratio < 1.6, ratio


def test_repeating_one_pair_does_not_lower_the_uncertainty():
    rng = np.random.default_rng(2)
    hands = seen(rng, moving_hand(rng, 4), 0.1)
    right = seen(rng, hands @ FACING.T, 0.2)
    once, often = fed(hands, right), fed(np.repeat(hands, 20, 0), np.repeat(right, 20, 0))
    assert often.uncertainty_deg > 0.9 * once.uncertainty_deg


def test_a_still_hand_does_not_displace_diverse_pairs():
    rng = np.random.default_rng(3)
    moving = moving_hand(rng, 48)
    still = np.repeat(moving[:1], 300, 0)
    hands = np.concatenate([moving, still])
    estimator = fed(seen(rng, hands, 0.01), seen(rng, hands @ FACING.T, 0.01), RotationEstimator(capacity=64))
    assert estimator.count == 64
    rooted = moving - moving[:, :1]
    kept = [np.sqrt(((estimator._hand - hand) ** 2).sum(-1).mean(-1)).min() < 0.05 for hand in rooted]
    assert np.mean(kept) > 0.95


def test_moved_cameras_are_noticed_once_the_old_pairs_are_too_old():
    rng = np.random.default_rng(4)
    hands, turned = moving_hand(rng, 40), random_rotation(rng)
    estimator = RotationEstimator(max_age_ns=10 * FRAME_NS)
    fed(hands, np.concatenate([hands[:20] @ FACING.T, hands[20:] @ turned.T]), estimator)
    assert estimator.rotation is not None and angle_deg(estimator.rotation, turned) < 1e-4


def test_a_degenerate_pair_is_skipped():
    estimator = RotationEstimator()
    estimator.update(0, np.full((21, 3), np.nan), flexed_hand(), np.ones(21))
    estimator.update(1, flexed_hand(), flexed_hand(), np.zeros(21))
    assert estimator.rotation is None and estimator.count == 0
