"""Views that are inconsistent for long are reported, short inconsistencies are not."""

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


def view_hand(view: View, joints: np.ndarray, confidence: float) -> ViewHand:
    return ViewHand(view, "right", joints, np.zeros((21, 2)), np.full(21, confidence))


def pair(right: np.ndarray, confidence_left: float = 0.5, confidence_right: float = 0.4) -> PerView[ViewHand | None]:
    return PerView(view_hand("left", HAND, confidence_left), view_hand("right", right, confidence_right))


def test_consistent_views_are_never_reported():
    consistency, noise = CrossViewConsistency(), np.random.default_rng(1)
    for _ in range(5 * MIN_INCONSISTENT_PAIRS):
        poor = HAND @ R.T + noise.normal(0, 0.2, (21, 3))
        assert consistency.inconsistent_view(pair(poor), R) is None


def test_the_less_confident_of_inconsistent_views_is_reported():
    for confidence, expected in (((0.5, 0.4), "right"), ((0.3, 0.4), "left")):
        consistency = CrossViewConsistency()
        reported = [consistency.inconsistent_view(pair(ELBOW, *confidence), R) for _ in range(MIN_INCONSISTENT_PAIRS + 1)]
        assert reported == [None] * (MIN_INCONSISTENT_PAIRS - 1) + [expected, None], "and its successor starts anew"


def test_short_inconsistency_is_not_reported():
    consistency = CrossViewConsistency()
    for _ in range(4):
        for _ in range(MIN_INCONSISTENT_PAIRS - 1):
            assert consistency.inconsistent_view(pair(ELBOW), R) is None
        assert consistency.inconsistent_view(pair(HAND @ R.T), R) is None


def test_nothing_is_reported_without_a_rotation_or_with_one_view():
    consistency = CrossViewConsistency()
    for _ in range(2 * MIN_INCONSISTENT_PAIRS):
        assert consistency.inconsistent_view(pair(ELBOW), None) is None
        assert consistency.inconsistent_view(PerView(view_hand("left", HAND, 0.5), None), R) is None
