"""The joint table is a tree of five fingers; a unit hand has no position and no size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand.joints import BONES, FINGERS, JOINT_NAMES, JOINTS, MIDDLE_MCP, PARENTS, TIPS, WRIST, unit_hand

HAND = np.random.default_rng(0).normal(size=(21, 3))


def test_every_joint_except_the_wrist_belongs_to_one_finger_and_has_its_name():
    assert sorted(joint for chain in FINGERS.values() for joint in chain) == list(range(1, JOINTS))
    for finger, chain in FINGERS.items():
        assert all(JOINT_NAMES[joint].startswith(finger) for joint in chain)
    assert (JOINT_NAMES[WRIST], JOINT_NAMES[MIDDLE_MCP]) == ("wrist", "middle_mcp")


def test_finger_chains_start_at_the_wrist():
    for chain in FINGERS.values():
        assert [PARENTS[joint] for joint in chain] == [WRIST, *chain[:-1]]
    assert PARENTS[WRIST] == -1
    assert set(TIPS) == set(range(JOINTS)) - set(PARENTS)
    assert [child for _, child in BONES] == list(range(1, JOINTS))


@given(st.floats(0.01, 1000), st.lists(st.floats(-1000, 1000), min_size=3, max_size=3))
def test_unit_hand_is_invariant_to_translation_and_scale(scale, shift):
    unit = unit_hand(HAND * scale + shift)
    np.testing.assert_allclose(unit, unit_hand(HAND), atol=1e-8)
    np.testing.assert_allclose(unit_hand(unit), unit, atol=1e-12)
    assert (unit[WRIST] == 0).all()
    assert np.linalg.norm(unit[MIDDLE_MCP]) == pytest.approx(1)


def test_batched_unit_hands_equal_single_ones():
    hands = np.stack([HAND, 2 * HAND + 1, HAND[::-1]])
    np.testing.assert_array_equal(unit_hand(hands), np.stack([unit_hand(hand) for hand in hands]))


@pytest.mark.filterwarnings("error")
def test_unit_hand_of_zero_length_is_not_finite():
    assert not np.isfinite(unit_hand(np.zeros((21, 3)))).all()
