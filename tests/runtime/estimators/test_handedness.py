"""Which hand it is: evidence adds up, one odd answer changes nothing, a wrong start is forgotten."""

import pytest

from runtime.estimators.handedness import CLEAR_THRESHOLD, FIRST_PAIRS, MIN_VOTE_CONFIDENCE, TEST_INTERVAL, HandednessFilter


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_locator_says_it_until_the_network_does(side):
    vote = HandednessFilter()
    assert vote.side is None
    vote.start(side, 0.9)
    assert vote.side == side
    vote.add(right=0.5, left=0.5)
    assert vote.side == side
    for _ in range(3):
        vote.add(right=0.4, left=0.5)
    assert vote.side == "left"


def test_one_odd_answer_does_not_turn_a_settled_vote():
    vote = HandednessFilter()
    vote.start("right", 0.5)
    for _ in range(10):
        vote.add(right=0.6, left=0.5)
    vote.add(right=0.3, left=0.6)
    assert vote.side == "right"


def test_a_wrong_start_is_forgotten():
    vote = HandednessFilter()
    vote.start("right", 1.0)
    for _ in range(10):
        vote.add(right=0.6, left=0.4)
    for _ in range(20):
        vote.add(right=0.4, left=0.6)
    assert vote.side == "left"


def test_both_ways_are_tried_until_the_side_is_clear_and_then_rarely():
    vote = HandednessFilter()
    vote.start("right", 0.5)
    assert all(vote.due() for _ in range(3 * FIRST_PAIRS)), "nothing is clear yet"
    while abs(vote._evidence) < CLEAR_THRESHOLD:
        vote.add(right=0.6, left=0.4)
    due = [vote.due() for _ in range(200)]
    assert sum(due) == pytest.approx(200 / TEST_INTERVAL, abs=1)


def test_what_is_hardly_a_hand_has_no_vote():
    vote = HandednessFilter()
    vote.start("right", 0.5)
    for _ in range(50):
        vote.add(right=0.1, left=MIN_VOTE_CONFIDENCE - 0.01)
    assert vote.side == "right"
