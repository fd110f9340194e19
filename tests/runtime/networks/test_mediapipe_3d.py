"""Own layers and heads beside MediaPipe's: they begin as copies, and change the joints and the expected errors alone."""

import math

import pytest
import torch

from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.networks.mediapipe_3d import ExpectedError, MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX, MediaPipeLandmarks
from runtime.networks.network import HandNetwork
from tests.runtime.hands import flexed_hand


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(256, (2, INPUT_PX, INPUT_PX, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def network_on(plain: MediaPipeLandmarks, own_blocks: int) -> MediaPipe3D:
    """As it begins, on the layers of a landmark network."""
    network, base = MediaPipe3D(hidden=8, own_blocks=own_blocks), plain.state_dict()
    copied = {name: base[source] for name, source in network.copies().items()}
    missing = network.load_state_dict(base | copied, strict=False).missing_keys
    assert all(name.startswith(("own_hidden.", "correction.", "expected_error.")) for name in missing)
    return network.eval()


@pytest.mark.parametrize("own_blocks", [0, 1])
def test_it_begins_with_mediapipes_hand_and_features(own_blocks, images):
    plain = MediaPipeLandmarks().eval()
    network = network_on(plain, own_blocks)
    with torch.inference_mode():
        theirs, own = network.features(network.normalise(images)).split(network.feature_count, 1)
        hands, expected = HandNetwork(network, INPUT_PX)(images), HandNetwork(plain, INPUT_PX)(images)
    assert torch.equal(own, theirs)
    torch.testing.assert_close(hands.joints, expected.joints)
    torch.testing.assert_close(hands.confidence, torch.full((2, 21), math.exp(-0.2 / CONFIDENCE_SCALE)))


@pytest.mark.parametrize("own_blocks", [0, 1])
def test_what_own_layers_learn_moves_the_joints_and_nothing_of_the_picture(own_blocks, images):
    network = network_on(MediaPipeLandmarks().eval(), own_blocks)
    with torch.no_grad():
        network.correction.weight.normal_()
        before = HandNetwork(network, INPUT_PX)(images)
        for name in network.copies():
            network.get_parameter(name).mul_(1.5)
        after = HandNetwork(network, INPUT_PX)(images)
    assert not torch.equal(after.joints, before.joints)
    for kept in ("pixels", "presence", "right"):
        assert torch.equal(getattr(after, kept), getattr(before, kept))


def test_one_joint_is_corrected_alone():
    network = MediaPipe3D(hidden=8).eval()
    features = torch.rand(2, 2 * network.feature_count)
    with torch.no_grad():
        first = network.read(features).joints
        network.correction.bias[3 * 4 + 2] = 0.3
        moved = network.read(features).joints - first
    expected = torch.zeros(2, 21, 3)
    expected[:, 4, 2] = 0.3
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_expected_errors_grow_with_absence_and_away_from_the_wrist():
    expects = ExpectedError()
    with torch.no_grad():
        expects.absence.fill_(0.3)
        expects.reach.fill_(0.5)
    joints = torch.from_numpy(flexed_hand()).float().expand(2, 21, 3)
    sure, unsure = expects(joints, torch.tensor([0.99, 0.6]))
    assert (unsure > sure).all()
    order = joints[0, 1:].norm(dim=-1).argsort()
    assert (sure[1:21][order].diff() > 0).all() and (sure[22:][order].diff() > 0).all()


def test_a_collapsed_hand_has_finite_output():
    network = MediaPipe3D(hidden=8).eval()
    with torch.no_grad():
        for value in network.parameters():
            value.zero_()
        hands = network.hands(network.read(torch.zeros(1, 2 * network.feature_count)), INPUT_PX)
    assert all(torch.isfinite(value).all() for value in hands)
