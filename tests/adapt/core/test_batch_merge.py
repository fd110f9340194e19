"""Merging takes each joint from the view that knows it, and says the same in both cameras' axes."""

from typing import get_args

import numpy as np
import pytest
import torch

from adapt.core.batch_merge import merge_batch
from capture.views import PerView
from runtime.fusion.merge import MergeRule, view_weights
from tests.adapt.s2dhand_batch import ROOTS, Batch
from tests.runtime.hands import moving_hand, random_rotation

RULES = get_args(MergeRule)
PUBLISHED = {"max": "max", "softmax": "weight", "mean": "avg"}
ALL = PerView(torch.ones(5, 21, dtype=torch.bool), torch.ones(5, 21, dtype=torch.bool))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def sure(rng: np.random.Generator) -> PerView[torch.Tensor]:
    return PerView.of(lambda view: torch.from_numpy(rng.uniform(size=(5, 21))))


@pytest.mark.parametrize("rule", RULES)
def test_two_equal_hands_give_that_hand(rng, rule):
    R = torch.from_numpy(random_rotation(rng))
    left = torch.from_numpy(moving_hand(rng, 5))
    hands = PerView(left, left @ R.mT)
    merged = merge_batch(hands, sure(rng), ALL, R, rule, 8.0)
    for view, hand in hands.items():
        torch.testing.assert_close(merged[view], hand)


@pytest.mark.parametrize("rule", RULES)
def test_shares_are_those_of_the_live_merge(rng, rule):
    confidence = sure(rng)
    ones, zeros = torch.ones(5, 21, 3, dtype=torch.float64), torch.zeros(5, 21, 3, dtype=torch.float64)
    merged = merge_batch(PerView(ones, zeros), confidence, ALL, torch.eye(3, dtype=torch.float64), rule, 8.0)
    expected = view_weights(confidence.left.numpy(), confidence.right.numpy(), rule, 8.0)
    np.testing.assert_allclose(merged.left[..., 0], expected, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_a_joint_that_one_view_alone_sees_is_that_views(rng, rule):
    R = torch.from_numpy(random_rotation(rng))
    hands = PerView.of(lambda view: torch.from_numpy(moving_hand(rng, 5)))
    half = torch.arange(21).expand(5, 21) < 10
    merged = merge_batch(hands, sure(rng), PerView(half, ~half), R, rule, 8.0)
    torch.testing.assert_close(merged.left[:, :10], hands.left[:, :10])
    torch.testing.assert_close(merged.right[:, 10:], hands.right[:, 10:])


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("rule", RULES)
def test_merged_joints_are_the_published_ones(rule, root):
    batch = Batch.load()
    merged = merge_batch(batch.rooted(root), batch.seen.confidence, batch.seen.visible, batch.R, rule, beta=1.0)
    expected = batch.views(f"root{root}_{PUBLISHED[rule]}_merged")
    for view, joints in merged.items():
        torch.testing.assert_close(joints, expected[view], atol=1e-9, rtol=0)
