"""A track follows the joints and ends where they are implausible."""

import numpy as np
import pytest

from runtime.estimators.framing import Framing, box_around, roll_of
from runtime.estimators.tracker import TrackSettings, ViewTracker
from runtime.types import HandBox, ViewHand

FRAME_NS = 33_000_000
SPREAD = np.random.default_rng(0).uniform(-50, 50, (21, 2))


def hand_at(centre: tuple[float, float], scale: float = 1.0, confidence: float = 0.9) -> ViewHand:
    middle = box_around(SPREAD)[0]
    pixels = (SPREAD - middle) * scale + np.array(centre)
    return ViewHand("left", "right", np.zeros((21, 3)), pixels, np.full(21, confidence))


def started(*, predict: bool = True) -> ViewTracker:
    tracker = ViewTracker((640, 480), TrackSettings(predict=predict))
    tracker.start(0, HandBox("left", "right", (300.0, 200.0), 150.0, 0.8))
    return tracker


def test_only_upright_tracks_follow_the_roll():
    for upright in (True, False):
        tracker = ViewTracker((640, 480), framing=Framing(upright=upright))
        hand = hand_at((300, 200))
        tracker.start(0, HandBox("left", "right", (300.0, 200.0), 150.0, 0.8))
        assert tracker.update(0, hand)
        box = tracker.box_at(FRAME_NS)
        assert box is not None and box.roll_deg == (pytest.approx(roll_of(hand.pixels)) if upright else 0.0)


def test_no_box_before_start():
    assert ViewTracker((640, 480)).box_at(0) is None
    box = started().box_at(0)
    assert box is not None and box.centre_px == (300, 200)


def test_constant_velocity_is_predicted():
    tracker = started()
    for i in range(12):
        assert tracker.update(i * FRAME_NS, hand_at((300 + 8 * i, 200)))
    box = tracker.box_at(12 * FRAME_NS)
    assert box is not None
    assert box.centre_px == pytest.approx((300 + 8 * 12, 200), abs=0.1)
    assert box.size_px == pytest.approx(box_around(SPREAD)[1], rel=1e-2)
    assert (box.side, box.score) == ("right", 0.8)


def test_without_prediction_the_box_stays_on_the_last_joints():
    tracker = started(predict=False)
    for i in range(5):
        tracker.update(i * FRAME_NS, hand_at((300 + 8 * i, 200)))
    box = tracker.box_at(5 * FRAME_NS)
    assert box is not None and box.centre_px == pytest.approx((332, 200))


@pytest.mark.parametrize(
    "implausible",
    [
        hand_at((300, 200), confidence=0.05),
        hand_at((-20, 200)),
        hand_at((300, 490)),
        hand_at((300, 200), scale=2.5),
        hand_at((300, 200), scale=0.3),
        hand_at((np.nan, 200)),
    ],
    ids=["low confidence", "left of the frame", "below the frame", "grown", "shrunk", "not a number"],
)
def test_implausible_joints_end_the_track(implausible):
    tracker = started()
    assert tracker.update(0, hand_at((300, 200)))
    assert not tracker.update(FRAME_NS, implausible)
    assert tracker.box_at(2 * FRAME_NS) is None and not tracker.tracking


def test_a_long_gap_ends_the_track():
    tracker = started()
    tracker.update(0, hand_at((300, 200)))
    assert tracker.box_at(10**9) is None
