"""The steps that pose a body: bones keep their lengths, children follow their parents, hands go on from their forearms."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tools.make.people import Body, elbow_at, frame_of, limb_share, part_weights, sample_person, turned, wrist_target

SKELETON = {
    "root": (None, (0.0, 0, 0)),
    "spine05": ("root", (0, 0, 0.1)),
    "neck01": ("spine05", (0, 0, 0.55)),
    "eye": ("neck01", (0.03, -0.1, 0.7)),
    "upperarm01": ("spine05", (0.16, 0, 0.47)),
    "lowerarm01": ("upperarm01", (0.33, 0, 0.28)),
    "wrist": ("lowerarm01", (0.45, -0.16, 0.16)),
    "finger1-1": ("wrist", (0.44, -0.19, 0.14)),
    "finger1-2": ("finger1-1", (0.43, -0.22, 0.13)),
    "finger4-1": ("wrist", (0.51, -0.21, 0.10)),
    "finger4-2": ("finger4-1", (0.53, -0.25, 0.08)),
    "finger2-1": ("wrist", (0.47, -0.24, 0.13)),
    "finger2-2": ("finger2-1", (0.48, -0.28, 0.12)),
    "finger3-1": ("wrist", (0.49, -0.23, 0.11)),
    "finger3-2": ("finger3-1", (0.50, -0.27, 0.09)),
    "finger5-1": ("wrist", (0.52, -0.20, 0.09)),
    "finger5-2": ("finger5-1", (0.54, -0.23, 0.08)),
    "upperleg01": ("root", (0.1, 0, 0.04)),
    "lowerleg01": ("upperleg01", (0.1, 0, -0.4)),
    "foot": ("lowerleg01", (0.1, 0, -0.8)),
}
MIDDLE = ("root", "spine05", "neck01")


def skeleton() -> tuple[list[str], list[int], np.ndarray]:
    labels, parents, heads = [], [], []
    for name, (parent, head) in SKELETON.items():
        for side, sign in (("", 1),) if name in MIDDLE else ((".R", -1), (".L", 1)):
            labels.append(name + side)
            at = -1 if parent is None else labels.index(parent if parent in MIDDLE else parent + side)
            parents.append(at)
            heads.append(np.array(head) * [sign, 1, 1])
    return labels, parents, np.array(heads, float)


@pytest.fixture(scope="module")
def body() -> Body:
    """A stick figure: one vertex at each bone's head, moved by that bone alone."""
    labels, parents, heads = skeleton()
    count = len(labels)
    rig = SimpleNamespace(
        bone_labels=labels,
        bone_parents=parents,
        vertex_bone_weights=torch.ones(count, 1, dtype=torch.float64),
        vertex_bone_indices=torch.arange(count)[:, None],
    )
    return Body(rig, heads, heads)


def length(body: Body, vertices: np.ndarray, first: str, last: str) -> float:
    return float(np.linalg.norm(vertices[body.labels.index(last)] - vertices[body.labels.index(first)]))


def test_a_body_that_nothing_turns_rests(body):
    vertices, heads, rotations = body.pose({})
    np.testing.assert_allclose(vertices, body.vertices)
    np.testing.assert_allclose(heads, body.heads)
    np.testing.assert_allclose(rotations, np.broadcast_to(np.eye(3), rotations.shape))


def test_children_follow_their_parents(body):
    turn = turned((0, 0, 1), 90)
    vertices, heads, _ = body.pose({"upperarm01.L": turn})
    shoulder, wrist, other = (body.labels.index(name) for name in ("upperarm01.L", "wrist.L", "wrist.R"))
    np.testing.assert_allclose(heads[wrist] - heads[shoulder], turn @ (body.heads[wrist] - body.heads[shoulder]))
    np.testing.assert_allclose(vertices[wrist], heads[wrist])
    np.testing.assert_allclose(vertices[other], body.vertices[other])


def test_an_elbow_keeps_both_bones_and_bends_where_it_is_told():
    shoulder, wrist = np.array([0.0, 0, 0]), np.array([0.1, -0.4, 0.05])
    towards = np.array([0.3, 0.0, -1.0])
    elbow = elbow_at(shoulder, wrist, 0.3, 0.26, towards)
    assert np.linalg.norm(elbow - shoulder) == pytest.approx(0.3)
    assert np.linalg.norm(wrist - elbow) == pytest.approx(0.26)
    assert (elbow - shoulder) @ towards > 0


def test_frames_are_rotations_that_start_along_the_bone():
    along, normal = np.array([1.0, 2, 3]), np.array([0.5, -1, 0.2])
    frame = frame_of(along, normal)
    np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1)
    np.testing.assert_allclose(frame[:, 0], along / np.linalg.norm(along))


@pytest.mark.parametrize("seed", range(8))
def test_whoever_is_posed_keeps_the_bones_and_has_straight_wrists(body, seed):
    person = sample_person(body, np.random.default_rng(seed))
    bones = [("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("upperleg01", "lowerleg01"), ("lowerleg01", "foot")]
    for number, side in enumerate("RL"):
        for first, last in bones:
            ends = f"{first}.{side}", f"{last}.{side}"
            assert length(body, person.vertices, *ends) == pytest.approx(length(body, body.vertices, *ends))
        mirror = np.array([1 if side == "R" else -1, 1, 1])
        elbow, wrist = (person.vertices[body.labels.index(f"{name}.{side}")] * mirror for name in ("lowerarm01", "wrist"))
        turn, along = person.forearms[number], (wrist - elbow) / np.linalg.norm(wrist - elbow)
        assert np.linalg.det(turn) == pytest.approx(1)
        np.testing.assert_allclose(turn[:, 1], along, atol=1e-9)
        beyond = person.wrists[number] - wrist
        np.testing.assert_allclose(np.cross(beyond, along), 0, atol=1e-9)
        assert 0 < beyond @ along < 0.02
        assert 0.06 < person.hand_sizes[number] < 0.1


def test_wrists_at_a_desk_are_above_it():
    random = np.random.default_rng(1)
    targets = np.array([wrist_target(random, np.array([-0.16, 0, 0.47]), np.array([0, -0.1, 0.7]), 0.1) for _ in range(200)])
    assert 0.6 < np.mean(targets[:, 2] >= 0.1) < 0.95
    assert (targets[:, 1] <= 0.01).all()


def test_parts_and_limbs_are_told_by_the_bones(body):
    weights, share = part_weights(body), limb_share(body)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert weights[body.labels.index("wrist.L"), 2] == 1
    for limb in (("upperarm01", "wrist"), ("upperleg01", "foot")):
        for side in "RL":
            assert [share[body.labels.index(f"{end}.{side}")] for end in limb] == pytest.approx([0, 1])
