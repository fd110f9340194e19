"""The next square follows the hand's position, size and roll."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand.joints import MIDDLE_MCP, WRIST
from runtime.estimators.hand_landmarks import next_square
from tests.runtime.hands import flexed_hand

HAND = flexed_hand()[:, :2] * [100, -100] + [320, 300]
"""(21, 2) px."""


@given(st.floats(-180, 180), st.floats(0.3, 3), st.floats(-500, 500), st.floats(-500, 500))
def test_the_next_square_follows_the_hand(roll_deg, scale, x, y):
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    similarity = scale * np.array([[cos, -sin], [sin, cos]])
    before, after = next_square(HAND), next_square(HAND @ similarity.T + [x, y])
    np.testing.assert_allclose(after.centre_px, similarity @ before.centre_px + [x, y], atol=1e-6)
    assert after.size_px == pytest.approx(scale * before.size_px)
    assert (after.roll_deg - before.roll_deg - roll_deg + 180) % 360 - 180 == pytest.approx(0, abs=1e-6)


def test_next_square_has_the_roll_of_the_hand():
    square = next_square(HAND)
    matrix = square.frame_from_crop(1)
    inside = (HAND - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    assert inside.min() > 0 and inside.max() < 1
    assert inside[WRIST, 1] > inside[MIDDLE_MCP, 1]


def test_next_square_ignores_finger_tips():
    bent = HAND.copy()
    bent[12] += [30, 80]  # the middle finger's tip
    assert next_square(bent) == next_square(HAND)
