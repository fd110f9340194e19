"""The handedness filter accumulates evidence, ignores outliers and corrects a wrong initial side."""

import pytest

from runtime.estimators.handedness import CLEAR_THRESHOLD, FIRST_PAIRS, MIN_VOTE_CONFIDENCE, TEST_INTERVAL, HandednessFilter


@pytest.mark.parametrize("side", ["left", "right"])
def test_locator_side_holds_until_the_network_contradicts_it(side):
    handedness = HandednessFilter()
    assert handedness.side is None
    handedness.start(side, 0.9)
    assert handedness.side == side
    handedness.add(right=0.5, left=0.5)
    assert handedness.side == side
    for _ in range(3):
        handedness.add(right=0.4, left=0.5)
    assert handedness.side == "left"


def test_one_outlier_does_not_change_a_settled_side():
    handedness = HandednessFilter()
    handedness.start("right", 0.5)
    for _ in range(10):
        handedness.add(right=0.6, left=0.5)
    handedness.add(right=0.3, left=0.6)
    assert handedness.side == "right"


def test_a_wrong_initial_side_is_corrected():
    handedness = HandednessFilter()
    handedness.start("right", 1.0)
    for _ in range(10):
        handedness.add(right=0.6, left=0.4)
    for _ in range(20):
        handedness.add(right=0.4, left=0.6)
    assert handedness.side == "left"


def test_both_sides_are_tested_until_clear_and_then_at_intervals():
    handedness = HandednessFilter()
    handedness.start("right", 0.5)
    assert all(handedness.due() for _ in range(3 * FIRST_PAIRS)), "nothing is clear yet"
    while abs(handedness._evidence) < CLEAR_THRESHOLD:
        handedness.add(right=0.6, left=0.4)
    due = [handedness.due() for _ in range(200)]
    assert sum(due) == pytest.approx(200 / TEST_INTERVAL, abs=1)


def test_low_confidence_predictions_are_ignored():
    handedness = HandednessFilter()
    handedness.start("right", 0.5)
    for _ in range(50):
        handedness.add(right=0.1, left=MIN_VOTE_CONFIDENCE - 0.01)
    assert handedness.side == "right"
