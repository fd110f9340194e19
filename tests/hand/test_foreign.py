"""The foreign hand is a closed right hand whose joints and angles have the meaning of those of the training hand."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from hand.joints import FINGERS, JOINTS, MIDDLE_MCP
from hand.model import BONE_JOINTS, FOREARM, FOREIGN_ASSET, REGIONS, HandModel
from hand.prior import FAMILIES, family_pose, sample_poses
from tests.paths import ROOT

OURS, FOREIGN = HandModel.load(), HandModel.load(asset=FOREIGN_ASSET)


def posed(model: HandModel, family: str) -> torch.Tensor:
    """(21, 3) joints of a family's template pose."""
    pose = family_pose([list(FAMILIES).index(family)], model)
    return model.pose_joints(torch.zeros(1, model.components), pose)[0]


def inside(model: HandModel) -> torch.Tensor:
    """(21,) solid angle of the skin around each joint as a share of the whole sphere (Van Oosterom and Strackee 1983)."""
    a, b, c = (model.vertices[model.faces] - model.joints[:, None, None]).unbind(2)
    la, lb, lc = (v.norm(dim=-1) for v in (a, b, c))
    determinant = (torch.linalg.cross(a, b) * c).sum(-1)
    other = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return 2 * torch.atan2(determinant, other).sum(1) / (4 * math.pi)


def beyond_tips(model: HandModel) -> list[float]:
    """Length of each finger beyond its tip joint, along its last bone."""
    reaches = []
    for _, _, last, tip in FINGERS.values():
        along = torch.nn.functional.normalize(model.joints[tip] - model.joints[last], dim=0)
        offset = model.vertices - model.joints[tip]
        reach = offset @ along
        reaches.append(reach[(offset - reach[:, None] * along).norm(dim=1) < 0.16].max().item())
    return reaches


def widens_at(model: HandModel, growth: float) -> float:
    """y at which the arm's cross-section, width times depth, has grown by `growth` from its narrowest towards the hand."""
    edges = torch.cat([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]])
    a, b = model.vertices[edges].double().unbind(1)
    heights, sections = np.linspace(-0.2, 0.3, 101), []
    for y in heights.tolist():
        crosses = (a[:, 1] - y) * (b[:, 1] - y) < 0
        share = (y - a[crosses, 1]) / (b[crosses, 1] - a[crosses, 1])
        cut = torch.lerp(a[crosses], b[crosses], share[:, None])
        sections.append(((cut[:, 0].max() - cut[:, 0].min()) * (cut[:, 2].max() - cut[:, 2].min())).item())
    narrowest = int(np.argmin(sections))
    return float(heights[narrowest:][np.array(sections[narrowest:]) > growth * min(sections)][0])


def test_foreign_hand_is_a_unit_hand_in_a_small_file():
    torch.testing.assert_close(FOREIGN.joints[0], torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(FOREIGN.joints[MIDDLE_MCP], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)
    assert FOREIGN_ASSET.stat().st_size < 300_000


def test_mesh_is_closed_faces_outwards_and_contains_every_joint():
    edges = Counter((a, b) for face in FOREIGN.faces.tolist() for a, b in zip(face, face[1:] + face[:1], strict=True))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    torch.testing.assert_close(inside(FOREIGN), torch.ones(JOINTS), atol=1e-3, rtol=0)


def test_foreign_hand_is_a_right_hand():
    # The dorsal side is read from the artist's mesh, not from the axes: knuckles are nearer to the back than to the palm.
    for joint in (5, 9, 13, 17):
        offset = FOREIGN.vertices - FOREIGN.joints[joint]
        above = offset[offset[:, :2].norm(dim=1) < 0.08, 2]
        assert above.max() < -0.85 * above.min()
    assert FOREIGN.joints[4, 0] < FOREIGN.joints[5, 0] < 0 < FOREIGN.joints[13, 0] < FOREIGN.joints[17, 0]
    # All fingers curl towards the thumb's side.
    assert (posed(FOREIGN, "fist")[[8, 12, 16, 20], 2] < -0.15).all()
    assert FOREIGN.joints[4, 2] < -0.3


@pytest.mark.parametrize("name", REGIONS)
def test_regions_are_in_zero_to_one_and_none_is_empty(name):
    region = FOREIGN.regions[name]
    assert region.min() >= 0 and region.max() <= 1
    assert 0.002 < region.mean() < 0.7


def test_skinning_weights_sum_to_one_and_forearm_vertices_follow_the_forearm():
    torch.testing.assert_close(FOREIGN.weights.sum(1), torch.ones(len(FOREIGN.vertices)), atol=1e-3, rtol=0)
    assert (FOREIGN.weights[FOREIGN.vertices[:, 1] < -0.3, FOREARM] == 1).all()
    torch.testing.assert_close(FOREIGN.axes @ FOREIGN.axes.mT, torch.eye(3).expand(16, 3, 3), atol=1e-5, rtol=0)


def test_tip_joints_have_the_depth_of_those_of_the_training_hand():
    np.testing.assert_allclose(beyond_tips(FOREIGN), beyond_tips(OURS), atol=0.005)


@pytest.mark.parametrize("growth", [1.1, 1.2, 1.3, 1.5])
def test_wrist_position_matches_the_training_hand(growth):
    assert widens_at(FOREIGN, growth) == pytest.approx(widens_at(OURS, growth), abs=0.04)


def test_thumb_base_and_rest_pose_match_the_training_hand():
    assert FOREIGN.joints[1].norm().item() == pytest.approx(OURS.joints[1].norm().item(), abs=0.01)
    bones = [BONE_JOINTS.index(joint) for joint in FINGERS["thumb"][:3]]
    torch.testing.assert_close(FOREIGN.axes[bones], OURS.axes[bones], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pose_rotates_bones_as_on_the_training_hand(family):
    hands = [posed(model, family) for model in (OURS, FOREIGN)]
    for name, chain in FINGERS.items():
        bones = [torch.nn.functional.normalize(hand[list(chain)].diff(dim=0), dim=1) for hand in hands]
        cosine = (bones[0] * bones[1]).sum(1)
        # The knuckles of the two hands are arranged differently; a wrong axis would differ by 30° or more.
        assert (cosine > math.cos(math.radians(20))).all(), name


def test_bones_keep_their_lengths_and_skin_stays_near_its_bone():
    generator = torch.Generator().manual_seed(0)
    pose, _ = sample_poses(64, generator, FOREIGN)
    shape = torch.randn(64, FOREIGN.components, generator=generator)
    hand = FOREIGN.pose(shape, pose)
    rest = FOREIGN.joints + torch.einsum("nk,kjc->njc", shape, FOREIGN.shape_joints)
    for _, second, third, tip in FINGERS.values():
        for a, b in ((second, third), (third, tip)):
            lengths = [(joints[:, b] - joints[:, a]).norm(dim=1) for joints in (hand.joints, rest)]
            torch.testing.assert_close(lengths[0], lengths[1], atol=1e-5, rtol=0)
    distance = torch.cdist(hand.vertices, hand.joints).amin(2)
    assert distance[:, FOREIGN.vertices[:, 1] > 0].max() < 0.75


def test_shapes_differ_from_the_training_hands():
    lengths = [(model.joints[list(range(6, 9))] - model.joints[list(range(5, 8))]).norm(dim=1) for model in (OURS, FOREIGN)]
    assert ((lengths[1] / lengths[0] - 1).abs()).max() > 0.1
    assert FOREIGN.components > 1 and FOREIGN.shape_joints.abs().amax((1, 2)).count_nonzero() > 1


def test_training_never_renders_the_foreign_hand():
    files = list((ROOT / "tools" / "train").glob("*.py"))
    assert len(files) > 1
    assert not any("FOREIGN" in path.read_text() or "foreign_hand" in path.read_text() for path in files)
