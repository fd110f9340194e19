"""Bones' rotations: the same however a hand is turned, alike for both hands, and joints come back from them."""

import itertools

import numpy as np
import pytest
import torch

from hand.bone_frames import bone_axes, joint_rotations, palm_axes
from hand.joints import FINGERS, PARENTS
from hand.model import BONE_JOINTS, HandModel, HandPose
from hand.rotations import between, from_quaternion, to_quaternion
from tests.runtime.hands import random_rotation

MIRROR = np.diag([-1.0, 1.0, 1.0])


def posed(flex: float = 0.0, spread: float = 0.0) -> np.ndarray:
    """(21, 3) the mean right hand in hand axes, every finger joint flexed by `flex` radians, the thumb's too."""
    model = HandModel.load()
    pose = HandPose(torch.full((1, 5, 3), flex), torch.full((1, 5), spread), torch.zeros(1, 5), torch.zeros(1, 3))
    return model.pose_joints(torch.zeros(1, model.components), pose)[0].double().numpy()


def test_palm_axes_are_those_of_the_hand():
    np.testing.assert_allclose(palm_axes(posed(), "right"), np.eye(3), atol=0.06)


def test_bones_axes_at_rest_are_those_that_the_hand_was_modelled_with():
    model, axes = HandModel.load(), bone_axes(posed(), "right")
    for bone, joint in enumerate(BONE_JOINTS[1:], 1):
        modelled = model.axes[bone].double().numpy().T * [-1, 1, 1]
        turned = np.degrees(np.arccos(np.clip((np.trace(axes[joint].T @ modelled) - 1) / 2, -1, 1)))
        # Fingers fan a little about their own bones, which joints do not tell.
        assert turned < 30, (joint, turned)


@pytest.mark.parametrize("side", ["left", "right"])
def test_rotations_are_the_hands_own(side):
    rng = np.random.default_rng(0)
    joints = posed(0.6, 0.1) if side == "right" else posed(0.6, 0.1) @ MIRROR
    R = random_rotation(rng)
    own, turned = joint_rotations(joints, side), joint_rotations(3 * joints @ R.T + 7, side)
    np.testing.assert_allclose(turned[1:], own[1:], atol=1e-9)
    np.testing.assert_allclose(from_quaternion(turned[0]), R @ from_quaternion(own[0]), atol=1e-9)


def test_a_left_hand_is_a_mirrored_right_one():
    right, left = joint_rotations(posed(0.5), "right"), joint_rotations(posed(0.5) @ MIRROR, "left")
    np.testing.assert_allclose(left, right * [1, 1, -1, -1], atol=1e-9)


@pytest.mark.parametrize("side", ["left", "right"])
def test_flexing_turns_about_minus_x(side):
    bent = posed(0.7) if side == "right" else posed(0.7) @ MIRROR
    rotations = joint_rotations(bent, side)
    for joint in (joint for finger in ("index", "middle", "ring", "little") for joint in FINGERS[finger][1:3]):
        w, x, y, _ = rotations[joint]
        np.testing.assert_allclose(2 * np.arccos(w), 0.7, atol=0.02)
        # Fingers that fan flex about axes that fan.
        assert x < -0.9 * np.sin(0.35) and abs(y) < 1e-9


def test_joints_come_back_from_rotations_and_lengths():
    joints = posed(0.8, -0.1)
    rotation = from_quaternion(joint_rotations(joints, "right"))
    axes = np.empty_like(rotation)
    for joint in range(21):
        axes[joint] = rotation[0] if joint == 0 else axes[PARENTS[joint]] @ rotation[joint]
    for chain in FINGERS.values():
        for joint, child in itertools.pairwise(chain):
            length = np.linalg.norm(joints[child] - joints[joint])
            np.testing.assert_allclose(joints[joint] + axes[joint][:, 1] * length, joints[child], atol=1e-9)
            np.testing.assert_allclose(np.linalg.det(axes[joint]), 1)


def test_bones_turn_by_the_smallest_rotation_from_their_parents():
    joints = posed(0.8, -0.1)
    axes = bone_axes(joints, "right")
    for chain in (chain for name, chain in FINGERS.items() if name != "thumb"):
        for before, joint, child in zip((0, *chain[:2]), chain[:3], chain[1:], strict=True):
            bone = joints[child] - joints[joint]
            np.testing.assert_allclose(axes[joint], between(axes[before][:, 1], bone) @ axes[before], atol=1e-12)


def test_a_bone_that_is_folded_back_or_has_no_length_still_has_axes():
    joints = posed()
    joints[7], joints[12] = joints[5] - (joints[6] - joints[5]), joints[11]
    axes = bone_axes(joints, "right")
    np.testing.assert_allclose(axes @ np.swapaxes(axes, -1, -2), np.broadcast_to(np.eye(3), (21, 3, 3)), atol=1e-9)


def test_quaternions_round_trip():
    rng = np.random.default_rng(1)
    half_turns = np.stack([np.diag(d) for d in ([1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1])])
    rotations = np.concatenate([half_turns, np.eye(3)[None], np.stack([random_rotation(rng) for _ in range(200)])])
    quaternions = to_quaternion(rotations)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=-1), 1)
    np.testing.assert_allclose(from_quaternion(quaternions), rotations, atol=1e-12)
    assert (quaternions[:, 0] >= 0).all()


def test_a_hand_that_spans_no_palm_is_not_finite_and_raises_nothing():
    assert not np.isfinite(joint_rotations(np.zeros((21, 3)), "right")).any()
