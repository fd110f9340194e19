"""Joint limits hold for every pose of the prior; their Jacobians match their residuals."""

import numpy as np
import pytest
import torch

from hand.joints import BONES, unit_hand
from hand.model import HandModel
from hand.prior import sample_poses
from runtime.fusion.joint_limits import BONES_FROM_JOINTS, JointLimits
from tests.runtime.hands import flexed_hand, random_rotation

MIRROR = np.array([-1.0, 1, 1])


def lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(BONES_FROM_JOINTS @ joints, axis=1)


def test_bones_run_from_parent_to_child():
    joints = np.random.default_rng(0).normal(size=(21, 3))
    np.testing.assert_allclose(BONES_FROM_JOINTS @ joints, [joints[child] - joints[parent] for parent, child in BONES])


def test_synthetic_hands_keep_the_limits_of_their_side_and_break_those_of_the_other():
    model = HandModel.load()
    pose, _ = sample_poses(200, torch.Generator().manual_seed(0), model)
    hands = unit_hand(model.pose_joints(torch.zeros(200, model.components), pose).double().numpy())
    limits, turn = JointLimits(lengths(hands[0])), random_rotation(np.random.default_rng(1))
    own = [limits(joints @ turn.T, "right")[0] for joints in hands] + [limits(joints * MIRROR, "left")[0] for joints in hands]
    # Fingers that bend obliquely to the knuckles miss theirs by a hair.
    assert min(residual.min(initial=0) for residual in own) > -0.02
    assert np.mean([len(limits(joints, "left")[0]) for joints in hands]) > 4


def test_hyperextended_and_overbent_fingers_violate_the_limits():
    limits = JointLimits(lengths(flexed_hand()))
    assert len(limits(flexed_hand(), "right")[0]) == 0
    assert len(limits(flexed_hand(-0.6), "right")[0]) == 12
    assert len(limits(flexed_hand(2.2), "right")[0]) == 12


@pytest.mark.parametrize("flexion", [-0.6, 2.3])
def test_jacobians_are_the_derivatives_of_the_residuals(flexion):
    rng = np.random.default_rng(2)
    joints = flexed_hand(flexion) + rng.normal(0, 0.02, (21, 3))
    limits = JointLimits(lengths(flexed_hand()))
    residual, slope = limits(joints, "right")
    assert residual.size > 6 and (residual < 0).all()
    step = rng.normal(size=(21, 3))
    # The knuckles at both ends carry the axis, which counts as fixed.
    step[[5, 17]] = 0
    there, back = (limits(joints + sign * 1e-6 * step, "right")[0] for sign in (1, -1))
    np.testing.assert_allclose(np.einsum("kjc,jc->k", slope, step), (there - back) / 2e-6, atol=1e-6)
