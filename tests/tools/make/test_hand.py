"""The steps that make the hand's asset: an open mesh is closed by a forearm, and axes are a right hand's."""

import numpy as np
import pytest

from hand.joints import FINGERS
from hand.model import HandModel
from tools.make.hand_mesh import (
    FOREARM_LENGTH,
    FOREARM_RINGS,
    boundary_loop,
    first_hit,
    forearm,
    forearm_faces,
    smoothstep,
    vertex_normals,
)
from tools.make.hand_rig import KNUCKLE_DEPTH, KNUCKLE_SHIFT, centred, hand_axes, place_joints

SIDES = 7
CUP = np.array([(SIDES, k, (k + 1) % SIDES) for k in range(SIDES)])
"""A cone around +y with its tip, the last vertex, up and its mouth, the others, open; its faces look outwards."""


def cup_vertices() -> np.ndarray:
    turn = -2 * np.pi * np.arange(SIDES) / SIDES
    ring = np.stack([np.cos(turn), np.zeros(SIDES), np.sin(turn)], 1) * 0.3
    return np.concatenate([ring, [[0, 1.0, 0]]])


def edges(faces: np.ndarray) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for f in faces for a, b in ((f[0], f[1]), (f[1], f[2]), (f[2], f[0]))]


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


@pytest.fixture
def closed() -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of the cup with its forearm."""
    vertices = cup_vertices()
    loop = boundary_loop(CUP)
    faces = np.concatenate([CUP, forearm_faces(loop, len(vertices))])
    return np.concatenate([vertices, forearm(vertices, loop)]), faces


def test_the_open_edge_is_found_in_order():
    loop = boundary_loop(CUP)
    assert sorted(loop) == list(range(SIDES))
    assert set(zip(loop, loop[1:] + loop[:1], strict=True)) <= set(edges(CUP))


def test_a_mesh_with_two_openings_is_refused():
    with pytest.raises(AssertionError, match="more than one opening"):
        boundary_loop(np.concatenate([CUP, CUP + SIDES + 1]))


def test_the_forearm_closes_the_mesh_and_its_faces_look_outwards(closed):
    vertices, faces = closed
    directed = edges(faces)
    assert len(set(directed)) == len(directed)
    assert {(b, a) for a, b in directed} == set(directed)
    assert set(faces.ravel()) == set(range(len(vertices)))
    assert volume(cup_vertices(), CUP) > 0
    assert volume(vertices, faces) > volume(cup_vertices(), CUP) + 0.1


def test_the_forearm_leads_away_from_the_fingers(closed):
    rings = closed[0][SIDES + 1 :].reshape(FOREARM_RINGS, SIDES, 3)
    heights = rings[..., 1].mean(1)
    assert (np.diff(heights) < 0).all()
    assert heights[-1] == pytest.approx(-FOREARM_LENGTH)
    assert np.ptp(rings[-1, :, 0]) > np.ptp(cup_vertices()[:SIDES, 0])


def test_normals_are_units_that_look_outwards(closed):
    vertices, faces = closed
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert normals[SIDES, 1] > 0.99
    radial = vertices * [1, 0, 1]
    assert ((normals * radial).sum(1)[SIDES + 1 : -SIDES] > 0).all()


def test_hand_axes_turn_a_hand_back_to_its_own():
    joints = HandModel.load().joints.double().numpy()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    axes = hand_axes(3 * joints @ turn.T + 5)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes @ turn, hand_axes(joints), atol=1e-9)


def test_knuckles_move_back_and_the_wrist_into_the_hand():
    # A rig with straight fingers along y, in metres, and a skin that ends 25 mm beyond each last bone.
    heads, skin = {"wrist.R": np.zeros(3)}, []
    for number in range(1, 6):
        base = np.array([0.02 * number, 0.08, 0.0])
        for part, reach in enumerate((0.0, 0.04, 0.07), 1):
            heads[f"finger{number}-{part}.R"] = base + [0, reach, 0]
        skin += [base + [0.005 * np.cos(t), 0.095, 0.005 * np.sin(t)] for t in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
    joints = place_joints(np.array(skin), heads)
    for number, (name, chain) in enumerate(list(FINGERS.items())[1:], 2):
        size = np.linalg.norm(joints[9, :2] - joints[0, :2])
        into_hand = joints[chain[0]] - heads[f"finger{number}-1.R"]
        np.testing.assert_allclose(into_hand, np.array([0, -KNUCKLE_SHIFT[name] * 0.04, -KNUCKLE_DEPTH * size]), atol=1e-9)
        np.testing.assert_array_equal(joints[chain[1]], heads[f"finger{number}-2.R"])
        tip = joints[chain[3]] - heads[f"finger{number}-3.R"]
        np.testing.assert_allclose(tip[[0, 2]], 0, atol=1e-9)
        assert 0.018 < tip[1] < 0.025
    assert 0 < joints[0] @ joints[9] < 0.2 * joints[9] @ joints[9]


def test_smoothstep_rises_from_nothing_to_one():
    values = smoothstep(np.linspace(-1, 2, 301), 0.0, 1.0)
    assert (np.diff(values) >= 0).all()
    assert (values[:101] == 0).all() and (values[200:] == 1).all() and values[150] == pytest.approx(0.5)


def test_a_joint_under_the_skin_is_moved_to_the_middle_of_its_finger():
    # A finger along y with a rectangular section, its joints 2 mm under the back's skin.
    corners = [(x, z) for x, z in ((-8, -12), (8, -12), (8, 4), (-8, 4))]
    skin = np.array([(x, y, z) for y in (0, 80) for x, z in corners], float)
    faces = np.array([f for k in range(4) for f in ((k, (k + 1) % 4, k + 4), ((k + 1) % 4, (k + 1) % 4 + 4, k + 4))])
    joints = np.zeros((21, 3))
    joints[[5, 6, 7, 8]] = [(1, y, 2) for y in (0, 40, 60, 79)]
    for k, joint in ((1, 6), (2, 7)):
        np.testing.assert_allclose(centred(skin, faces, joints, (5, 6, 7, 8), k), np.array([0, joints[joint, 1], -4]), atol=1e-6)
    tip = centred(skin, faces, joints, (5, 6, 7, 8), 3)
    np.testing.assert_allclose(tip, [0.5, 79, -1], atol=1e-6)
    assert first_hit(skin, faces, np.array([1.0, 40, 2]), np.array([0.0, 0, 1])) == pytest.approx(2)
