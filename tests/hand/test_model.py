"""The hand model is a closed right hand with anatomically signed joint angles."""

import math
from collections import Counter

import pytest
import torch

from hand.joints import BONES, FINGERS, JOINTS, MIDDLE_MCP, TIPS, WRIST
from hand.model import BONE_JOINTS, BONE_PARENTS, FOREARM, REGIONS, HandModel, HandPose, axis_angle
from hand.prior import sample_poses
from hand.rotations import from_vector
from hand.synth.raster import vertex_normals

MODEL = HandModel.load()


def rest(n: int = 1) -> HandPose:
    """The rest pose of the model."""
    return HandPose(MODEL.rest_flex.expand(n, 5, 3).clone(), torch.zeros(n, 5), torch.zeros(n, 5), torch.zeros(n, 3))


def mean_shape(n: int = 1) -> torch.Tensor:
    return torch.zeros(n, MODEL.components)


def joints_of(pose: HandPose) -> torch.Tensor:
    return MODEL.pose_joints(mean_shape(len(pose.flex)), pose)


def flexed(finger: int, part: int, angle: float) -> torch.Tensor:
    """(21, 3) joints of the resting hand with one joint flexed further."""
    pose = rest()
    pose.flex[0, finger, part] += angle
    return joints_of(pose)[0]


@pytest.fixture(scope="module")
def poses() -> HandPose:
    return sample_poses(64, torch.Generator().manual_seed(0), MODEL)[0]


@pytest.fixture(scope="module")
def shapes() -> torch.Tensor:
    return torch.randn(64, MODEL.components, generator=torch.Generator().manual_seed(1))


def test_the_mean_hand_is_a_unit_hand_in_its_own_axes():
    assert MODEL.joints.shape == (JOINTS, 3)
    torch.testing.assert_close(MODEL.joints[WRIST], torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(MODEL.joints[MIDDLE_MCP], torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_skinning_weights_sum_to_one():
    assert MODEL.weights.shape == (len(MODEL.vertices), FOREARM + 1)
    assert (MODEL.weights >= 0).all()
    torch.testing.assert_close(MODEL.weights.sum(1), torch.ones(len(MODEL.vertices)), atol=1e-3, rtol=0)


def test_parents_precede_their_bones():
    assert BONE_PARENTS[0] == -1
    assert all(parent < bone for bone, parent in enumerate(BONE_PARENTS))
    assert set(BONE_JOINTS) | set(TIPS) == set(range(JOINTS))
    torch.testing.assert_close(MODEL.axes @ MODEL.axes.transpose(1, 2), torch.eye(3).expand(16, 3, 3), atol=1e-5, rtol=0)


def test_mesh_is_closed_and_faces_outwards():
    edges = Counter((a, b) for face in MODEL.faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    a, b, c = MODEL.vertices[MODEL.faces].unbind(1)
    assert (torch.linalg.cross(a, b) * c).sum() / 6 > 0


def test_joints_are_inside_the_mesh():
    # The solid angles of a closed surface sum to 4π inside and to 0 outside (Van Oosterom and Strackee 1983).
    a, b, c = (MODEL.vertices[MODEL.faces] - MODEL.joints[:, None, None]).unbind(2)
    la, lb, lc = (v.norm(dim=-1) for v in (a, b, c))
    determinant = (torch.linalg.cross(a, b) * c).sum(-1)
    other = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    angle = 2 * torch.atan2(determinant, other).sum(1)
    torch.testing.assert_close(angle, torch.full((JOINTS,), 4 * math.pi), atol=1e-2, rtol=0)


def test_seen_from_its_back_with_the_fingers_up_the_thumb_is_on_the_left():
    # The dorsal side is read from the nails, not from the axes.
    normals = vertex_normals(MODEL.vertices[None], MODEL.faces)[0]
    back = (normals * MODEL.regions["nail"][:, None]).sum(0)
    up = MODEL.joints[MIDDLE_MCP] - MODEL.joints[WRIST]
    to_the_right = torch.linalg.cross(up, back)
    across = MODEL.joints @ to_the_right
    assert across[4] < across[5] < across[9] < across[13] < across[17]
    assert back[2] > 0 and to_the_right[0] > 0


@pytest.mark.parametrize("name", REGIONS)
def test_regions_are_in_zero_to_one_and_none_is_empty(name):
    region = MODEL.regions[name]
    assert region.min() >= 0 and region.max() <= 1
    assert 0.002 < region.mean() < 0.7


def test_rest_angles_give_the_rest_hand():
    posed = MODEL.pose(mean_shape(), rest())
    torch.testing.assert_close(posed.joints[0], MODEL.joints, atol=1e-5, rtol=0)
    torch.testing.assert_close(posed.vertices[0], MODEL.vertices, atol=1e-3, rtol=0)


def test_straight_fingers_are_straight():
    pose = rest()
    pose.flex[:, 1:] = 0
    joints = joints_of(pose)[0]
    for finger in list(FINGERS)[1:]:
        bones = joints[list(FINGERS[finger])].diff(dim=0)
        flexion_axis = MODEL.axes[BONE_JOINTS.index(FINGERS[finger][1]), 0]
        # Straight as seen along the flexion axis: a finger may still deviate sideways.
        flat = bones - (bones @ flexion_axis)[:, None] * flexion_axis
        cosine = torch.nn.functional.cosine_similarity(flat[1:], flat[:-1], dim=1)
        assert (cosine > math.cos(math.radians(6))).all(), finger


def test_bones_keep_their_lengths_in_any_pose(poses, shapes):
    at_rest = MODEL.joints + torch.einsum("nk,kjc->njc", shapes, MODEL.shape_joints)
    posed = MODEL.pose_joints(shapes, poses)
    parents, children = zip(*BONES, strict=True)
    lengths = [(hand[:, children] - hand[:, parents]).norm(dim=2) for hand in (at_rest, posed)]
    torch.testing.assert_close(lengths[1], lengths[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(MODEL.pose(shapes, poses).joints, posed)


def test_skin_on_one_bone_alone_is_rigid(poses):
    posed = MODEL.pose(mean_shape(64), poses)
    for bone, joint in enumerate(BONE_JOINTS):
        mine = MODEL.weights[:, bone] > 0.999
        before = (MODEL.vertices[mine] - MODEL.joints[joint]).norm(dim=1)
        after = (posed.vertices[:, mine] - posed.joints[:, joint, None]).norm(dim=2)
        torch.testing.assert_close(after, before.expand_as(after), atol=3e-3, rtol=0)


def test_bone_rotations_are_rotations(poses):
    rotation = MODEL.bone_rotations(poses)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand_as(rotation), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(64, 17))
    torch.testing.assert_close(rotation[:, 0], torch.eye(3).expand(64, 3, 3))


def test_axis_angle_is_the_rotation_of_its_vector():
    axis = torch.nn.functional.normalize(torch.randn(9, 3, generator=torch.Generator().manual_seed(2)).double(), dim=1)
    angle = torch.linspace(-3, 3, 9).double()
    expected = torch.from_numpy(from_vector((axis * angle[:, None]).numpy()))
    torch.testing.assert_close(axis_angle(axis, angle), expected)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("finger", range(5), ids=list(FINGERS))
def test_flexing_moves_the_tip_to_the_palm_side(finger, part):
    chain = list(FINGERS.values())[finger]
    moved = flexed(finger, part, 0.4)[chain[3]] - MODEL.joints[chain[3]]
    dorsal = MODEL.axes[BONE_JOINTS.index(chain[part]), 2]
    assert moved @ dorsal < -0.05
    if finger:
        assert moved[2] < 0


def test_a_flexed_thumb_closes_over_the_palm():
    palm = (MODEL.joints[5] + MODEL.joints[17]) / 2 + torch.tensor([0.0, 0.0, -0.2])
    away = [(flexed(0, 1, angle)[4] - palm).norm() for angle in (-0.4, 0.0, 0.4, 0.8)]
    assert away == sorted(away, reverse=True)


@pytest.mark.parametrize("finger", range(5), ids=list(FINGERS))
def test_flexion_moves_one_finger_only(finger):
    pose = rest()
    pose.flex[0, finger] += 0.5
    pose.spread[0, finger] = 0.2
    pose.twist[0, finger] = 0.2
    posed = MODEL.pose(mean_shape(), pose)
    chain = list(FINGERS.values())[finger]
    others = [joint for joint in range(JOINTS) if joint not in chain[1:]]
    torch.testing.assert_close(posed.joints[0, others], MODEL.joints[others], atol=1e-5, rtol=0)
    assert ((posed.joints[0, chain[1:]] - MODEL.joints[list(chain[1:])]).norm(dim=1) > 0.02).all()
    bones = [BONE_JOINTS.index(joint) for joint in chain[:3]]
    foreign = MODEL.weights[:, bones].sum(1) == 0
    torch.testing.assert_close(posed.vertices[0, foreign], MODEL.vertices[foreign], atol=1e-3, rtol=0)


@pytest.mark.parametrize("finger", range(1, 5), ids=list(FINGERS)[1:])
def test_positive_spread_turns_a_finger_to_the_thumbs_side(finger):
    pose = rest()
    pose.spread[0, finger] = 0.3
    tip = list(FINGERS.values())[finger][3]
    assert joints_of(pose)[0, tip, 0] < MODEL.joints[tip, 0] - 0.1


def test_positive_spread_moves_the_thumb_away_from_the_index():
    pose = rest()
    pose.spread[0, 0] = 0.3
    gap = [(hand[4] - hand[6]).norm() for hand in (MODEL.joints, joints_of(pose)[0])]
    assert gap[1] > gap[0] + 0.1


@pytest.mark.parametrize("finger", range(5), ids=list(FINGERS))
def test_the_base_joint_rotates_its_finger_rigidly(finger):
    bent, turned = rest(), rest()
    for pose in (bent, turned):
        pose.flex[0, finger, 1:] += 0.8
    turned.flex[0, finger, 0] += 0.5
    turned.spread[0, finger] = 0.25
    turned.twist[0, finger] = 0.15
    chain = list(FINGERS.values())[finger]
    before, after = (joints_of(pose)[0, list(chain)] for pose in (bent, turned))
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before), atol=1e-5, rtol=0)
    assert (after[3] - before[3]).norm() > 0.1


def test_wrist_angles_move_the_forearm_and_not_the_hand():
    pose = rest()
    pose.wrist[0, 0] = 0.6
    posed = MODEL.pose(mean_shape(), pose)
    torch.testing.assert_close(posed.joints[0], MODEL.joints, atol=1e-5, rtol=0)
    hand = MODEL.weights[:, FOREARM] == 0
    torch.testing.assert_close(posed.vertices[0, hand], MODEL.vertices[hand], atol=1e-3, rtol=0)
    elbow = MODEL.vertices[:, 1] < -2
    assert (posed.vertices[0, elbow] - MODEL.vertices[elbow]).norm(dim=1).min() > 0.5
