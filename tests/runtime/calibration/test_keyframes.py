"""The keyframe buffer is bounded, varied and recent; missing values have infinite standard deviations."""

from dataclasses import replace

import numpy as np
import pytest

from capture.views import PerView, View
from runtime.calibration.keyframes import MAX_AGE_NS, Keyframe, KeyframeBuffer
from runtime.types import ViewHand
from tests.runtime.hands import flexed_hand

WIDTHS = PerView(640, 640)
FRAME_NS = 33_000_000
CENTRES = PerView(np.array([319.5, 239.5]), np.array([319.5, 239.5]))


def hands(x_px: float = 0, flexion: float = 0.4) -> PerView[ViewHand]:
    """One hand `x_px` right of the image centre in both views."""
    joints = flexed_hand(flexion)

    def hand(view: View) -> ViewHand:
        return ViewHand(view, "right", joints, joints[:, :2] * 100 + [320 + x_px, 240], np.full(21, 0.8))

    return PerView.of(hand)


def pair(time_ns: int, x_px: float = 0, flexion: float = 0.4) -> Keyframe:
    seen = Keyframe.of(time_ns, hands(x_px, flexion))
    assert seen is not None
    return seen


def times(buffer: KeyframeBuffer) -> list[int]:
    return [seen.captured_ns for seen in buffer.pairs]


def test_buffer_keeps_its_capacity_and_time_order():
    buffer, rng = KeyframeBuffer(WIDTHS, 8), np.random.default_rng(0)
    for number in range(40):
        buffer.add(pair(number, rng.uniform(-200, 200), rng.uniform(0, 1)))
        assert len(buffer) == len(buffer.pairs) == min(number + 1, 8)
        assert times(buffer) == sorted(times(buffer)) and times(buffer)[-1] == number


def test_the_older_of_two_similar_keyframes_is_dropped():
    for number in range(4):
        # The twin of pair 0, 1, 2 or 3 comes fifth; the sixth has one of both leave.
        buffer = KeyframeBuffer(WIDTHS, 5)
        places = [-200.0, -100.0, 0.0, 100.0]
        for time_ns, x_px in enumerate([*places, places[number] + 1, 200.0]):
            buffer.add(pair(time_ns, x_px))
        assert times(buffer) == [time_ns for time_ns in range(6) if time_ns != number]


@pytest.mark.parametrize("how", [{"x_px": 60.0}, {"flexion": 0.9}])
def test_keyframes_differ_by_position_and_by_pose(how):
    buffer = KeyframeBuffer(WIDTHS, 3)
    for time_ns, seen in enumerate([pair(0), pair(1, **how), pair(2, 1), pair(3, -200)]):
        buffer.add(replace(seen, captured_ns=time_ns))
    assert times(buffer) == [1, 2, 3]


def test_kept_keyframes_are_more_varied_than_the_newest():
    rng, seen = np.random.default_rng(1), []
    # Moves about for a while, then nearly rests.
    for number in range(200):
        reach = 200 if number < 60 else 5
        seen.append((number, rng.uniform(-reach, reach), rng.uniform(0, 1 if number < 60 else 0.05)))
    buffer = KeyframeBuffer(WIDTHS, 32)
    for each in seen:
        buffer.add(pair(*each))
    kept = np.array([seen[number][1:] for number in times(buffer)])
    newest = np.array([each[1:] for each in seen[-32:]])
    assert (kept.std(0) > 5 * newest.std(0)).all()


def test_keyframes_beyond_the_maximum_age_are_dropped():
    buffer = KeyframeBuffer(WIDTHS, 8)
    for time_ns in (0, 10, 20):
        buffer.add(pair(time_ns, time_ns * 5))
    buffer.add(pair(MAX_AGE_NS + 10, 200))
    assert times(buffer) == [10, 20, MAX_AGE_NS + 10]


def test_forget_before_drops_older_keyframes_and_the_buffer_refills():
    buffer = KeyframeBuffer(WIDTHS, 4)
    for time_ns in range(4):
        buffer.add(pair(time_ns, 50.0 * time_ns))
    buffer.forget_before(2)
    assert times(buffer) == [2, 3]
    buffer.forget_before(100)
    assert len(buffer) == 0
    for time_ns in range(100, 106):
        buffer.add(pair(time_ns, 50.0 * (time_ns - 100)))
    assert len(buffer) == 4 and times(buffer)[-1] == 105


def test_keypoints_stack_the_keyframes_in_order():
    buffer = KeyframeBuffer(WIDTHS)
    for time_ns in range(3):
        buffer.add(pair(time_ns, 50.0 * time_ns))
    for view, keypoints in buffer.keypoints(CENTRES).items():
        seen = [kept.hands[view] for kept in buffer.pairs]
        np.testing.assert_array_equal(keypoints.pixels, [hand.pixels for hand in seen])
        np.testing.assert_array_equal(keypoints.shape, [hand.joints for hand in seen])
        np.testing.assert_array_equal(keypoints.centre_px, CENTRES[view])
        assert keypoints.sigma_px.shape == keypoints.shape_sigma.shape == (3, 21)


def test_a_view_without_3d_has_infinite_shape_sigma_and_finite_pixel_sigma():
    complete, incomplete = hands(), hands()
    unknown = replace(incomplete.left, joints=np.full((21, 3), np.nan))
    buffer = KeyframeBuffer(WIDTHS)
    for time_ns, both in enumerate((complete, PerView(unknown, incomplete.right))):
        seen = Keyframe.of(time_ns, both)
        assert seen is not None
        buffer.add(seen)
    left, right = buffer.keypoints(CENTRES)
    assert np.isfinite(left.shape).all() and np.isfinite(left.shape_sigma[0]).all()
    assert (left.shape_sigma[1] == np.inf).all() and np.isfinite(right.shape_sigma).all()
    # Of a flat hand seen from the front, the picture's extent tells the size as well as the joints do.
    np.testing.assert_allclose(left.sigma_px[1], left.sigma_px[0], rtol=0.5)


@pytest.mark.parametrize("view", ["left", "right"])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("pixels", ["not finite", "one point"])
def test_hands_with_invalid_pixels_give_no_keyframe(view: View, known: bool, pixels: str):
    both = hands()
    hand = both[view]
    bad = np.full((21, 2), 100.0) if pixels == "one point" else np.where(np.arange(21)[:, None] == 4, np.nan, hand.pixels)
    broken = replace(hand, pixels=bad, joints=hand.joints if known else np.full((21, 3), np.nan))
    assert Keyframe.of(0, PerView.of(lambda v: broken if v == view else both[v])) is None
