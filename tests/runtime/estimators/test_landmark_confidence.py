"""Implausible landmarks have a larger expected error, whatever the hand's position and size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand.rotations import from_vector
from runtime.estimators.hand_landmarks import Landmarks
from runtime.estimators.landmark_confidence import confidence, error_indicators, expected_error
from runtime.estimators.square import Square
from runtime.estimators.uncertainty import expected_error as error_from_confidence
from runtime.networks.landmark_error import BONES, bone_lengths
from runtime.types import ViewHand
from tests.runtime.hands import flexed_hand

HAND = flexed_hand()


def landmarks(world: np.ndarray, presence: float = 0.95) -> Landmarks:
    """Landmarks of a far hand (21, 3)."""
    return Landmarks(Square((0.0, 0.0), 1.0), world[:, :2] * 120 + [300, 200], world * 0.09, presence, 1.0)


def test_lower_presence_raises_the_expected_error():
    sure, unsure = (expected_error(landmarks(HAND, presence)) for presence in (0.99, 0.6))
    assert (sure < unsure).all()


def test_misfit_of_3d_and_pixels_raises_the_expected_error():
    seen = landmarks(HAND)
    bent = seen.pixels.copy()
    bent[5:9] += [25, 0]
    assert (expected_error(seen) < expected_error(replace(seen, pixels=bent))).all()


def test_unusual_bone_lengths_raise_the_bone_indicator():
    longer = HAND.copy()
    longer[6:9] += 1.5 * (HAND[6] - HAND[5])
    assert error_indicators(landmarks(longer))[2] > error_indicators(landmarks(HAND))[2]


@given(st.floats(0.2, 5), st.floats(-300, 300), st.floats(-np.pi, np.pi), st.booleans())
def test_indicators_are_invariant_to_position_scale_roll_and_mirror(scale, shift, roll, mirror):
    R = from_vector(np.array([0, 0, roll])) @ np.diag([-1.0 if mirror else 1.0, 1.0, 1.0])
    seen = landmarks(HAND)
    moved = replace(seen, world=scale * seen.world @ R.T, pixels=scale * seen.pixels @ R[:2, :2].T + shift)
    np.testing.assert_allclose(error_indicators(moved), error_indicators(seen), rtol=1e-6)


def test_confidence_encodes_the_expected_error():
    seen = landmarks(HAND, 0.6)
    unsure = replace(seen, pixels=seen.pixels + np.random.default_rng(0).normal(0, 15, (21, 2)))
    hand = ViewHand("left", "right", HAND, unsure.pixels, confidence(unsure))
    np.testing.assert_allclose(error_from_confidence(hand.confidence), expected_error(unsure))


def test_a_degenerate_hand_has_finite_confidence():
    assert np.isfinite(confidence(landmarks(np.zeros((21, 3)) + np.eye(21, 3) * 1e-9))).all()


def test_bones_are_measured_from_each_parent():
    stretched = torch.ones(21, 3).cumsum(0)
    assert float(bone_lengths(stretched)[1]) == pytest.approx(np.sqrt(3)) and len(BONES) == 20
