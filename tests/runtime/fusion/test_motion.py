"""The motion prior extrapolates the hand's motion, and weakens with speed and elapsed time."""

import numpy as np
import pytest

from hand.rotations import from_vector
from runtime.fusion.motion import Motion, MotionSettings
from runtime.fusion.shape_prior import Shapes
from tests.runtime.hands import flexed_hand

PAIR_NS = 33_000_000
MIDDLE = np.array([0.2, -0.1, 6.0])


def turning(k: int, speed: float) -> np.ndarray:
    """(21, 3) a rigid hand after `k` pairs, that turns about its middle and moves by `speed` radians and hands a second."""
    seconds = k * PAIR_NS * 1e-9
    hand = flexed_hand() - flexed_hand().mean(0)
    return hand @ from_vector(np.array([0.3, -0.8, 0.5]) * speed * seconds).T + MIDDLE + [speed * seconds, 0, 0]


def after(count: int, speed: float) -> Motion:
    motion = None
    for k in range(count):
        motion = Motion.after(motion, k * PAIR_NS, "right", turning(k, speed), MotionSettings())
    assert motion is not None
    return motion


def expected(motion: Motion, k: int) -> Shapes:
    shape = motion.shape(k * PAIR_NS, "right", motion.joints)
    assert shape is not None
    return shape


def test_rigid_motion_is_extrapolated():
    motion = after(20, 3.0)
    before, now = turning(19, 3.0), turning(20, 3.0)
    off, way = (np.linalg.norm(now - points, axis=1) for points in (expected(motion, 20).points[0], before))
    assert (off < 0.2 * way).all()
    assert np.abs(motion.flexing).max() < 0.01 * np.linalg.norm(motion.shifting), "none of its joints moves on its own"


def test_extrapolated_rotation_preserves_lengths():
    fast = after(20, 12.0)
    arms = expected(fast, 25).points[0] - expected(fast, 25).points[0].mean(0)
    lengths = np.linalg.norm(flexed_hand() - flexed_hand().mean(0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(arms, axis=1), lengths, rtol=0.03)


def test_extrapolated_velocity_decays():
    motion, far = after(20, 3.0), MotionSettings().carry_s * 3.0
    assert np.linalg.norm(expected(motion, 33).points[0].mean(0) - turning(19, 3.0).mean(0)) == pytest.approx(far, rel=0.05)


def test_prior_weakens_with_speed_and_elapsed_time():
    still, fast = after(20, 0.0), after(20, 4.0)
    assert (expected(fast, 20).moves < expected(still, 20).moves).all()
    later, sooner = expected(still, 26), expected(still, 20)
    assert (later.weight < sooner.weight).all() and (later.moves < sooner.moves).all()
