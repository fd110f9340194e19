"""The skin follows the joints: rest pose, similarity transforms, bones, mirroring."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand.joints import BONES, JOINTS
from hand.model import HandModel
from runtime.view.skin import Skin, bone_frames
from tests.runtime.hands import flexed_hand, random_rotation

MIRROR = np.array([-1.0, 1, 1])


@pytest.fixture(scope="module")
def model() -> HandModel:
    return HandModel.load()


@pytest.fixture(scope="module")
def skin(model) -> Skin:
    return Skin(model)


def test_the_rest_joints_give_the_rest_mesh(model, skin):
    vertices = skin.vertices(model.joints.numpy(), "right")
    np.testing.assert_allclose(vertices, model.vertices.numpy(), atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), flexion=st.floats(0, 1.2), size=st.floats(0.5, 120))
@settings(max_examples=25)
def test_skin_is_equivariant_to_similarity_transforms(skin, seed, flexion, size):
    rng = np.random.default_rng(seed)
    turn, shift, joints = random_rotation(rng), rng.normal(size=3), flexed_hand(flexion)
    moved = skin.vertices(size * joints @ turn.T + shift, "right")
    np.testing.assert_allclose(moved, size * skin.vertices(joints, "right") @ turn.T + shift, atol=1e-9 * size)


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 0.2))
@settings(max_examples=25)
def test_a_left_hand_is_a_mirrored_right_hand(skin, seed, noise):
    joints = flexed_hand(0.3) + np.random.default_rng(seed).normal(0, noise, (JOINTS, 3))
    left = skin.vertices(joints * MIRROR, "left")
    np.testing.assert_allclose(left, skin.vertices(joints, "right") * MIRROR, atol=1e-12)
    assert (skin.faces("left") == skin.faces("right")[:, ::-1]).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_faces_and_normals_point_outwards_for_either_hand(skin, side):
    vertices = skin.vertices(flexed_hand() * (MIRROR if side == "left" else 1), side)
    a, b, c = np.moveaxis(vertices[skin.faces(side)], 1, 0)
    # A surface that looks outwards holds a positive volume.
    assert np.einsum("fc,fc->f", np.cross(b - a, c - a), a - a.mean(0)).sum() > 0
    normals = skin.normals(vertices, side)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-9)
    of_faces = normals[skin.faces(side)].mean(1)
    assert (np.einsum("fc,fc->f", np.cross(b - a, c - a), of_faces) > 0).mean() > 0.98


def test_skin_of_one_bone_surrounds_it_at_any_length(model, skin):
    rng = np.random.default_rng(3)
    joints = flexed_hand(0.5) + rng.normal(0, 0.05, (JOINTS, 3))
    tip = 8
    held = model.weights.numpy()[:, 6] > 0.999
    assert held.sum() > 10

    def along(points, joints):
        bone = joints[tip] - joints[tip - 1]
        return (points - joints[tip - 1]) @ bone / (bone @ bone)

    rest_share = along(model.vertices.numpy()[held], model.joints.numpy())
    np.testing.assert_allclose(along(skin.vertices(joints, "right")[held], joints), rest_share, atol=1e-6)


def test_posing_the_model_and_skinning_its_joints_give_nearly_the_same_mesh(model, skin):
    import torch

    from hand.model import HandPose

    flex = torch.full((1, 5, 3), 0.6)
    flex[:, 0] = 0.2
    posed = model.pose(torch.zeros(1, model.components), HandPose(flex, torch.zeros(1, 5), torch.zeros(1, 5), torch.zeros(1, 3)))
    ours = skin.vertices(posed.joints[0].numpy(), "right")
    distance = np.linalg.norm(ours - posed.vertices[0].numpy(), axis=-1)
    assert distance.mean() < 0.02
    assert distance.max() < 0.12


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 2))
@settings(max_examples=50)
def test_frames_are_rotations_along_the_bones_for_any_joints(seed, noise):
    joints = noise * np.random.default_rng(seed).normal(size=(JOINTS, 3))
    frames = bone_frames(joints)
    np.testing.assert_allclose(frames @ np.swapaxes(frames, -1, -2), np.broadcast_to(np.eye(3), frames.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-9)
    start, end = np.array(BONES).T
    along = joints[end] - joints[start]
    length = np.linalg.norm(along, axis=-1)
    np.testing.assert_allclose((frames[:, :, 0] * along).sum(-1), length, atol=1e-8)


def test_a_finger_that_straightens_keeps_its_hinge():
    before, after = (bone_frames(flexed_hand(flexion)) for flexion in (0.02, -0.02))
    assert (np.einsum("bc,bc->b", before[:, :, 1], after[:, :, 1]) > 0.98).all()
