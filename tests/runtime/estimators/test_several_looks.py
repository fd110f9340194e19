"""Several looks at a hand of a photograph: what they agree on stays, what they err by is averaged, and the side is kept."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.engines.engine import Predictions
from runtime.estimators.framing import palm_box, palm_roll
from runtime.estimators.search import SearchHit
from runtime.estimators.several_looks import TURNS_DEG, seen_again
from runtime.types import HandBox, Side, ViewHand
from tests.runtime.estimators.test_search import CAMERA, TellingEngine, coordinates, hand_at
from tests.runtime.hands import flexed_hand


def found(truth: np.ndarray, side: Side) -> SearchHit:
    roll_deg = palm_roll(truth)
    (x, y), size = palm_box(truth, roll_deg)
    hand = ViewHand("left", side, flexed_hand(), truth, np.full(21, 0.3))
    return SearchHit(hand, 0.9, HandBox("left", side, (float(x), float(y)), size, 0.9, roll_deg, turned=True))


@pytest.mark.parametrize("side", ["right", "left"])
def test_looks_that_agree_change_nothing_and_each_hand_gets_its_own(side):
    truth = hand_at((80, 60), 50, 20, side)
    engine = TellingEngine(truth, side)
    hits = [found(truth, side), found(truth + [1, 0], side)]
    one, other = seen_again(engine, coordinates(), CAMERA, hits)
    assert engine.crops == 2 * (len(TURNS_DEG) + 1)
    assert (one.box, one.score, one.hand.side) == (hits[0].box, hits[0].score, side)
    assert np.linalg.norm(one.hand.pixels - truth, axis=1).max() < 1
    # The second hit's own pixels were one off, and three looks of four see where the hand is.
    assert (other.hand.pixels - one.hand.pixels).mean(0) == pytest.approx([0.25, 0], abs=0.1)
    assert seen_again(engine, coordinates(), CAMERA, []) == []


def test_errors_of_the_looks_are_averaged():
    truth = hand_at((80, 60), 50, 20, "right")
    hit = found(truth, "right")
    off = replace(hit.hand, joints=hit.hand.joints * [1, 1, 0.5], confidence=np.full(21, 0.9))
    (alone,), (mean,) = (
        seen_again(TellingEngine(truth, "right"), coordinates(), CAMERA, [h]) for h in (hit, replace(hit, hand=off))
    )
    moved = np.linalg.norm(mean.hand.joints - alone.hand.joints, axis=1).max()
    assert 0 < moved < np.linalg.norm(off.joints - hit.hand.joints, axis=1).max()
    assert mean.hand.confidence == pytest.approx(np.full(21, (0.9 + 2 * 0.3) / 3))


def test_a_look_that_gives_no_numbers_leaves_the_hand_as_it_was_found():
    truth = hand_at((80, 60), 50, 20, "right")

    class Broken(TellingEngine):
        def __call__(self, images: np.ndarray) -> Predictions:
            told = super().__call__(images)
            return replace(told, joints=np.full_like(told.joints, np.nan))

    hit = found(truth, "right")
    assert seen_again(Broken(truth, "right"), coordinates(), CAMERA, [hit]) == [hit]
