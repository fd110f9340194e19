"""OpenXR's hand: joints come back exactly, poses have its axes, of both hands, in metres."""

import itertools

import numpy as np
import pytest

from hand.openxr import xr_hand
from hand.orders import OPENXR
from hand.rotations import from_quaternion
from tests.hand.test_bone_frames import MIRROR, posed
from tests.runtime.hands import random_rotation


def seen(side: str, seed: int = 0) -> np.ndarray:
    """(21, 3) a drawn hand before a camera, mm."""
    joints = posed(0.5, 0.1) if side == "right" else posed(0.5, 0.1) @ MIRROR
    return 90 * joints @ random_rotation(np.random.default_rng(seed)).T + [30, -40, 500]


@pytest.mark.parametrize("side", ["left", "right"])
def test_joints_come_back(side):
    joints = seen(side)
    np.testing.assert_allclose(xr_hand(joints, side).joints_mm(), joints, atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("seed", range(5))
def test_minus_z_points_along_each_bone_and_y_out_of_the_back(side, seed):
    hand = xr_hand(seen(side, seed), side)
    axes = from_quaternion(np.roll(hand.orientation, 1, -1))
    for first in (2, 6, 11, 16, 21):
        chain = range(first, first + (4 if first == 2 else 5))
        for joint, child in itertools.pairwise(chain):
            along = hand.position_m[child] - hand.position_m[joint]
            np.testing.assert_allclose(-axes[joint][:, 2], along / np.linalg.norm(along), atol=1e-9)
    # Fingers bend away from the back of the hand.
    tip = hand.position_m[OPENXR.joints.index("MIDDLE_TIP")] - hand.position_m[OPENXR.joints.index("MIDDLE_PROXIMAL")]
    assert tip @ axes[OPENXR.joints.index("PALM")][:, 1] < 0
    # Seen from its back, fingers up, a right hand has its little finger on the right, a left one its thumb.
    right = hand.position_m[OPENXR.joints.index("LITTLE_PROXIMAL")] - hand.position_m[OPENXR.joints.index("INDEX_PROXIMAL")]
    assert (right @ axes[OPENXR.joints.index("PALM")][:, 0] > 0) == (side == "right")


def test_space_is_metres_with_y_up():
    joints = seen("right")
    hand = xr_hand(joints, "right")
    np.testing.assert_allclose(hand.position_m[1], joints[0] * [0.001, -0.001, -0.001])
    assert hand.position_m.shape == (26, 3) and (hand.radius_m > 0.004).all() and (hand.radius_m < 0.03).all()
