"""Expected errors of joints, in hands and in pixels, follow from the confidence."""

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


def test_expected_error_inverts_the_confidence():
    errors = np.linspace(MIN_ERROR, 2, 30)
    np.testing.assert_allclose(expected_error(np.exp(-errors / CONFIDENCE_SCALE)), errors)


def test_expected_error_is_bounded_and_decreases_with_confidence():
    expected = expected_error(np.array([1.0, 0.999, 0.5, 0.1, 1e-40, 0.0]))
    assert expected[0] == expected[1] == MIN_ERROR and (np.diff(expected[1:5]) > 0).all()
    assert np.isfinite(expected).all() and expected[5] == expected[4] > 2


@pytest.mark.parametrize("size_px", [40.0, 200.0])
def test_pixel_sigma_scales_with_the_hand_in_the_image(size_px: float):
    rng = np.random.default_rng(0)
    joints = moving_hand(rng, 1)[0]
    hand = ViewHand("left", "right", joints, joints[:, :2] * size_px + [320, 240], rng.uniform(0.05, 1, 21))
    assert px_per_hand(hand.joints, hand.pixels) == pytest.approx(size_px)
    for seen in (hand, replace(hand, pixel_share=0.1)):
        np.testing.assert_allclose(sigma_px(seen), seen.pixel_share * size_px * shape_sigma(hand))


def test_px_per_hand_is_translation_invariant_and_vectorised():
    joints = moving_hand(np.random.default_rng(1), 6)
    pixels = joints[..., :2] * np.arange(1, 7)[:, None, None] * 30 + [5, 900]
    np.testing.assert_allclose(px_per_hand(joints, pixels)[:, 0], np.arange(1, 7) * 30)
    np.testing.assert_allclose(px_per_hand(joints + [3, 2, 1], pixels - 70), px_per_hand(joints, pixels))


def test_an_edge_on_hand_has_no_finite_sigma():
    edge_on = unit_hand(np.stack([np.zeros(21), np.zeros(21), np.arange(21.0)], -1))
    hand = ViewHand("left", "right", edge_on, np.random.default_rng(2).normal(size=(21, 2)), np.full(21, 0.5))
    assert not np.isfinite(sigma_px(hand)).any()


def test_errors_of_synthetic_hands_match_the_claimed_sigma():
    """The median pixel error of synthetic views matches the claimed standard deviation."""
    rng = np.random.default_rng(3)
    rig = sample_rig(rng)
    observed = observe(rng, rig, sample_motion(rng, 4), noise_px=6)
    hands = [(pair.right, true) for pair, true in zip(observed.pairs, observed.joints_mm, strict=True) if pair]
    off = [np.abs(hand.pixels - rig.geometry.project(true).right) / sigma_px(hand)[:, None] for hand, true in hands]
    assert 0.3 < np.median(off) / 0.67 < 1.5
