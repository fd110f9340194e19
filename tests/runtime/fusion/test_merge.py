"""Merging two equal hands gives that hand, and is symmetric in the views."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.views import PerView, View
from runtime.fusion.merge import MergeRule, carry, merge, view_weights
from runtime.types import ViewHand
from tests.runtime.hands import moving_hand, random_rotation

RULES: tuple[MergeRule, ...] = ("max", "softmax", "mean")
seeds = st.integers(0, 2**32 - 1)


def view_hand(view: View, joints: np.ndarray, confidence: np.ndarray) -> ViewHand:
    return ViewHand(view, "right", joints, np.zeros((21, 2)), confidence)


def two_views(rng: np.random.Generator, *, equal: bool) -> tuple[PerView[ViewHand], np.ndarray]:
    R = random_rotation(rng)
    left, other = moving_hand(rng, 2)
    right = (left if equal else other) @ R.T
    confidence = rng.uniform(0, 1, (2, 21))
    return PerView(view_hand("left", left, confidence[0]), view_hand("right", right, confidence[1])), R


@given(seeds, st.sampled_from(RULES))
def test_two_equal_hands_give_that_hand(seed, rule):
    hands, R = two_views(np.random.default_rng(seed), equal=True)
    np.testing.assert_allclose(merge(hands, R, rule).joints, hands.left.joints, atol=1e-9)


@given(seeds, st.sampled_from(RULES))
def test_swapping_the_views_gives_the_same_hand_in_the_other_frame(seed, rule):
    hands, R = two_views(np.random.default_rng(seed), equal=False)
    merged, swapped = merge(hands, R, rule), merge(PerView(hands.right, hands.left), R.T, rule)
    np.testing.assert_allclose(swapped.joints, merged.joints @ R.T, atol=1e-6)
    np.testing.assert_allclose(swapped.weight_left, 1 - merged.weight_left, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_the_result_is_a_unit_hand(rule):
    hands, R = two_views(np.random.default_rng(0), equal=False)
    joints = merge(hands, R, rule).joints
    assert np.all(joints[0] == 0) and np.linalg.norm(joints[9]) == pytest.approx(1)


def test_softmax_lies_between_mean_and_max_and_stays_finite():
    left, right = np.array([0.2, 0.9, 0.5]), np.array([0.8, 0.1, 0.5])
    np.testing.assert_allclose(view_weights(left, right, "softmax", 1e-9), view_weights(left, right, "mean"), atol=1e-8)
    np.testing.assert_allclose(view_weights(left, right, "softmax", 1e6), view_weights(left, right, "max"))
    np.testing.assert_allclose(view_weights(left, right, "softmax", 5), np.exp(5 * left) / (np.exp(5 * left) + np.exp(5 * right)))


def test_one_view_carries_the_hand_in_the_left_frame():
    hands, R = two_views(np.random.default_rng(1), equal=True)
    by_left, by_right = carry(PerView(hands.left, None), R), carry(PerView(None, hands.right), R)
    assert by_left is not None and by_right is not None
    np.testing.assert_allclose(by_left.joints, by_right.joints, atol=1e-9)
    assert np.all(by_left.weight_left == 1) and np.all(by_right.weight_left == 0)
    assert carry(PerView(None, hands.right), None) is None, "without R the right view cannot speak in the left frame"
    assert carry(PerView(None, None), R) is None
