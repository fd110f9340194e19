"""The steps that make the foreign hand: the right package or none, a wrist opened and closed again, bones that stay bones."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from hand.errors import UserError
from hand.joints import BONES, FINGERS, JOINTS
from hand.model import BONE_JOINTS, FOREARM, FOREIGN_ASSET, HandModel
from hand.rotations import from_vector
from tests.paths import ROOT
from tests.tools.make.test_hand import CUP, SIDES, cup_vertices, edges, volume
from tools.make.foreign_hand import (
    FINGER_LENGTH,
    THUMB_LENGTH,
    Settings,
    join_forearm,
    main,
    open_wrist,
    rest_as,
    shape_components,
)
from tools.make.webxr_rig import Rig, bone_names, quaternion_matrix, read_package

FINGER_JOINTS = [joint for name, chain in FINGERS.items() if name != "thumb" for joint in chain[1:]]
THUMB_JOINTS = list(FINGERS["thumb"][1:])


@pytest.fixture(scope="module")
def foreign() -> Rig:
    """The asset, as the tool holds it."""
    model = HandModel.load(asset=FOREIGN_ASSET)
    tensors = (model.vertices, model.faces, model.weights, model.joints, model.axes)
    vertices, faces, weights, joints, axes = (np.asarray(t.double().numpy()) for t in tensors)
    return Rig(vertices, faces.astype(int), weights / weights.sum(1, keepdims=True), joints, axes)


@pytest.fixture
def lidded() -> Rig:
    """The cup of the other hand's tests, below the wrist, with a flat lid on its mouth; all of it palm."""
    vertices = np.concatenate([cup_vertices(), [[0, 0, 0]]]) - [0, 0.2, 0]
    lid = np.array([(SIDES + 1, (k + 1) % SIDES, k) for k in range(SIDES)])
    weights = np.eye(FOREARM + 1)[np.zeros(len(vertices), int)]
    return Rig(vertices, np.concatenate([CUP, lid]), weights, np.zeros((JOINTS, 3)), np.tile(np.eye(3), (16, 1, 1)))


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """(..., 21) length of the bone that ends at each joint, 0 for the wrist."""
    lengths = np.zeros(joints.shape[:-1])
    for parent, joint in BONES:
        lengths[..., joint] = np.linalg.norm(joints[..., joint, :] - joints[..., parent, :], axis=-1)
    return lengths


def test_a_missing_package_is_named_with_the_command_that_fetches_it(tmp_path):
    with pytest.raises(UserError, match=r"hand\.tgz is not there; 'npm pack @webxr-input-profiles/assets@1\.0\.20"):
        read_package(tmp_path / "hand.tgz")


def test_another_package_is_refused(tmp_path):
    path = tmp_path / "hand.tgz"
    path.write_bytes(b"another version")
    with pytest.raises(UserError, match=r"has sha256 [0-9a-f]{64}, not that of .* 1\.0\.20, 30df2a22"):
        read_package(path)


def test_the_package_gives_the_committed_file_byte_for_byte(tmp_path):
    package = ROOT / Settings().package
    if not package.is_file():
        pytest.skip(f"{Settings().package} is not there; tools/make/foreign_hand.py says how to fetch it")
    pytest.importorskip("pygltflib", reason="pip install -e '.[make]'")
    main(Settings(package=package, out=tmp_path / "again.safetensors"))
    assert (tmp_path / "again.safetensors").read_bytes() == FOREIGN_ASSET.read_bytes()


def test_the_file_says_where_it_comes_from():
    with safe_open(FOREIGN_ASSET, "np") as file:
        source = file.metadata()["source"]
    assert "@webxr-input-profiles/assets 1.0.20" in source and "MIT, Copyright (c) 2019 Amazon" in source


def test_every_joint_of_ours_has_a_bone_of_its_own_in_the_rig():
    names = bone_names()
    assert len(set(names)) == JOINTS
    assert names[4] == "thumb-tip" and names[17] == "pinky-finger-phalanx-proximal"


def test_a_quaternion_is_the_rotation_about_its_vector():
    axis, angle = np.array([2.0, -1.0, 2.0]) / 3, 1.1
    quaternion = np.append(axis * np.sin(angle / 2), np.cos(angle / 2))
    np.testing.assert_allclose(quaternion_matrix(quaternion), from_vector(axis * angle), atol=1e-12)


def test_the_lid_is_taken_off_the_wrist_and_nothing_else(lidded):
    opened = open_wrist(lidded)
    np.testing.assert_array_equal(opened.faces, CUP)
    np.testing.assert_array_equal(opened.vertices, lidded.vertices[:-1])


def test_the_forearm_closes_the_wrist(lidded):
    closed = join_forearm(open_wrist(lidded))
    directed = edges(closed.faces)
    assert len(set(directed)) == len(directed)
    assert {(b, a) for a, b in directed} == set(directed)
    assert volume(closed.vertices, closed.faces) > volume(lidded.vertices, lidded.faces) + 0.1
    np.testing.assert_allclose(closed.weights.sum(1), 1)
    elbow = closed.vertices[:, 1] < -1
    assert (closed.weights[elbow, FOREARM] == 1).all()


def test_a_thumb_that_was_turned_rests_as_our_hands_again(foreign):
    turn = from_vector(np.array([0.3, -0.2, 0.1]))
    bones = [BONE_JOINTS.index(joint) for joint in FINGERS["thumb"][:3]]
    axes, joints = foreign.axes.copy(), foreign.joints.copy()
    axes[bones] = axes[bones] @ turn.T
    joints[THUMB_JOINTS] = joints[1] + (joints[THUMB_JOINTS] - joints[1]) @ turn.T
    rested = rest_as(replace(foreign, axes=axes, joints=joints), HandModel.load())
    np.testing.assert_allclose(rested.axes, foreign.axes, atol=1e-5)
    np.testing.assert_allclose(rested.joints, foreign.joints, atol=1e-5)


def test_a_hand_that_rests_as_ours_stays_as_it_is(foreign):
    rested = rest_as(foreign, HandModel.load())
    np.testing.assert_allclose(rested.vertices, foreign.vertices, atol=1e-5)
    np.testing.assert_allclose(rested.joints, foreign.joints, atol=1e-5)


def test_length_components_lengthen_their_own_fingers_alone(foreign):
    _, joints = shape_components(foreign)
    grown = bone_lengths(foreign.joints + joints)[:, 1:] / bone_lengths(foreign.joints)[1:] - 1
    expected = np.zeros((len(joints), JOINTS - 1))
    expected[0, np.array(FINGER_JOINTS) - 1] = FINGER_LENGTH
    expected[4, np.array(THUMB_JOINTS) - 1] = THUMB_LENGTH
    np.testing.assert_allclose(grown[[0, 4]], expected[[0, 4]], atol=1e-6)
    ring, index = FINGERS["ring"][2] - 1, FINGERS["index"][2] - 1
    assert grown[5, ring] > 0 > grown[5, index]


def test_girth_components_thicken_the_skin_and_leave_the_bones(foreign):
    vertices, joints = shape_components(foreign)
    for component in (1, 6):
        np.testing.assert_allclose(joints[component], 0, atol=1e-7)
        assert np.linalg.norm(vertices[component], axis=1).max() > 0.005
        assert volume(foreign.vertices + vertices[component], foreign.faces) > volume(foreign.vertices, foreign.faces)
