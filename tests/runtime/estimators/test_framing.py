"""A crop lies around all joints or around the palm, and is turned as the hand is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.estimators.framing import BOX_MARGIN, Framing, box_around, palm_box, palm_roll, roll_of
from runtime.networks.weights import Manifest


def test_the_box_is_the_joints_bounding_square_with_its_margin():
    centre, size = box_around(np.array([[10.0, 20.0], [30.0, 80.0], [15.0, 40.0]]))
    np.testing.assert_array_equal(centre, [20, 50])
    assert size == BOX_MARGIN * 60 == 90


@given(st.floats(-180, 180), st.integers(0, 2**32 - 1))
def test_a_turned_box_is_the_box_of_the_turned_joints(roll_deg, seed):
    pixels = np.random.default_rng(seed).uniform(0, 100, (21, 2))
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    clockwise = np.array([[cos, -sin], [sin, cos]])
    plain_centre, plain_size = box_around(pixels)
    centre, size = box_around(pixels @ clockwise.T, roll_deg)
    np.testing.assert_allclose(centre, clockwise @ plain_centre, atol=1e-9)
    assert size == pytest.approx(plain_size)
    plain_centre, plain_size = palm_box(pixels, 0.0)
    centre, size = palm_box(pixels @ clockwise.T, roll_deg)
    np.testing.assert_allclose(centre, clockwise @ plain_centre, atol=1e-9)
    assert size == pytest.approx(plain_size)
    for roll in (roll_of, palm_roll):
        assert abs((roll(pixels @ clockwise.T) - roll(pixels) - roll_deg + 180) % 360 - 180) < 1e-6


def test_finger_tips_do_not_move_the_palm():
    pixels = np.random.default_rng(0).uniform(0, 100, (21, 2))
    bent = pixels.copy()
    bent[[4, 7, 8, 11, 12, 15, 16, 19, 20]] += 200
    assert Framing(True, "palm").roll(bent, 3.0) == Framing(True, "palm").roll(pixels, 3.0)
    np.testing.assert_array_equal(palm_box(bent, 30.0)[0], palm_box(pixels, 30.0)[0])
    assert palm_box(bent, 30.0)[1] == palm_box(pixels, 30.0)[1]
    assert box_around(bent)[1] > box_around(pixels)[1]


@pytest.mark.parametrize(("architecture", "around"), [("detnet", "joints"), ("mediapipe-landmarks", "palm")])
@pytest.mark.parametrize("upright", [False, True])
def test_a_networks_manifest_tells_its_framing(architecture, around, upright):
    manifest = Manifest(architecture=architecture, root=0, crop_size=64, axes="crop", upright=upright, training_data="none")
    framing = Framing.of(manifest)
    assert framing == Framing(upright, around)
    pixels = np.random.default_rng(1).uniform(0, 100, (21, 2))
    expected = (roll_of(pixels) if around == "joints" else palm_roll(pixels)) if upright else 3.0
    assert framing.roll(pixels, 3.0) == expected
