"""Views that follow different things for long are told apart, those that err for a moment are not."""

import numpy as np

from capture.views import PerView, View
from hand.joints import unit_hand
from hand.rotations import from_vector
from runtime.fusion.cross_view import MIN_INCONSISTENT_PAIRS, CrossViewConsistency
from runtime.types import ViewHand
from tests.runtime.hands import flexed_hand

R = from_vector(np.array([0.2, -1.1, 0.3]))
HAND = unit_hand(flexed_hand(0.6))
ELBOW = unit_hand(np.random.default_rng(0).normal(size=(21, 3)))


def seen(view: View, joints: np.ndarray, sure: float) -> ViewHand:
    return ViewHand(view, "right", joints, np.zeros((21, 2)), np.full(21, sure))


def pair(right: np.ndarray, sure_left: float = 0.5, sure_right: float = 0.4) -> PerView[ViewHand | None]:
    return PerView(seen("left", HAND, sure_left), seen("right", right, sure_right))


def test_two_views_of_one_hand_are_never_doubted():
    agreement, noise = CrossViewConsistency(), np.random.default_rng(1)
    for _ in range(5 * MIN_INCONSISTENT_PAIRS):
        poor = HAND @ R.T + noise.normal(0, 0.2, (21, 3))
        assert agreement.inconsistent_view(pair(poor), R) is None


def test_of_views_that_disagree_for_long_the_one_of_lower_confidence_is_named():
    for sure, expected in (((0.5, 0.4), "right"), ((0.3, 0.4), "left")):
        agreement = CrossViewConsistency()
        answers = [agreement.inconsistent_view(pair(ELBOW, *sure), R) for _ in range(MIN_INCONSISTENT_PAIRS + 1)]
        assert answers == [None] * (MIN_INCONSISTENT_PAIRS - 1) + [expected, None], "and its successor starts anew"


def test_a_moment_is_forgiven():
    agreement = CrossViewConsistency()
    for _ in range(4):
        for _ in range(MIN_INCONSISTENT_PAIRS - 1):
            assert agreement.inconsistent_view(pair(ELBOW), R) is None
        assert agreement.inconsistent_view(pair(HAND @ R.T), R) is None


def test_nothing_is_said_without_a_rotation_or_of_one_view():
    agreement = CrossViewConsistency()
    for _ in range(2 * MIN_INCONSISTENT_PAIRS):
        assert agreement.inconsistent_view(pair(ELBOW), None) is None
        assert agreement.inconsistent_view(PerView(seen("left", HAND, 0.5), None), R) is None
