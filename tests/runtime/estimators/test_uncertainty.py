"""How far off joints may be follows from how sure the network is, in hands and, by the hand's size in the picture, in pixels."""

from dataclasses import replace

import numpy as np
import pytest

from hand.joints import unit_hand
from runtime.estimators.uncertainty import MIN_ERROR, expected_error, px_per_hand, shape_sigma, sigma_px
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.types import ViewHand
from tests.runtime.hands import moving_hand
from tools.evaluate.motion import sample_motion
from tools.evaluate.two_views import observe, sample_rig


def test_expected_errors_are_those_that_the_confidence_stands_for():
    errors = np.linspace(MIN_ERROR, 2, 30)
    np.testing.assert_allclose(expected_error(np.exp(-errors / CONFIDENCE_SCALE)), errors)


def test_no_joint_is_surer_than_the_surest_nor_beyond_all_bounds():
    told = expected_error(np.array([1.0, 0.999, 0.5, 0.1, 1e-40, 0.0]))
    assert told[0] == told[1] == MIN_ERROR and (np.diff(told[1:5]) > 0).all()
    assert np.isfinite(told).all() and told[5] == told[4] > 2


@pytest.mark.parametrize("size_px", [40.0, 200.0])
def test_pixels_are_as_unsure_as_the_hand_is_large_in_the_picture(size_px: float):
    rng = np.random.default_rng(0)
    joints = moving_hand(rng, 1)[0]
    hand = ViewHand("left", "right", joints, joints[:, :2] * size_px + [320, 240], rng.uniform(0.05, 1, 21))
    assert px_per_hand(hand.joints, hand.pixels) == pytest.approx(size_px)
    for seen in (hand, replace(hand, pixel_share=0.1)):
        np.testing.assert_allclose(sigma_px(seen), seen.pixel_share * size_px * shape_sigma(hand))


def test_the_size_in_the_picture_does_not_depend_on_place_and_holds_for_many_hands():
    joints = moving_hand(np.random.default_rng(1), 6)
    pixels = joints[..., :2] * np.arange(1, 7)[:, None, None] * 30 + [5, 900]
    np.testing.assert_allclose(px_per_hand(joints, pixels)[:, 0], np.arange(1, 7) * 30)
    np.testing.assert_allclose(px_per_hand(joints + [3, 2, 1], pixels - 70), px_per_hand(joints, pixels))


def test_a_hand_without_width_has_no_size_and_says_so():
    edge_on = unit_hand(np.stack([np.zeros(21), np.zeros(21), np.arange(21.0)], -1))
    hand = ViewHand("left", "right", edge_on, np.random.default_rng(2).normal(size=(21, 2)), np.full(21, 0.5))
    assert not np.isfinite(sigma_px(hand)).any()


def test_errors_of_drawn_hands_are_about_as_large_as_told():
    """Pixels of drawn views, outliers left out by the median, err by the share of a joint's expected error that is claimed."""
    rng = np.random.default_rng(3)
    rig = sample_rig(rng)
    observed = observe(rng, rig, sample_motion(rng, 4), noise_px=6)
    hands = [(pair.right, true) for pair, true in zip(observed.pairs, observed.joints_mm, strict=True) if pair]
    off = [np.abs(hand.pixels - rig.geometry.project(true).right) / sigma_px(hand)[:, None] for hand, true in hands]
    assert 0.3 < np.median(off) / 0.67 < 1.5
