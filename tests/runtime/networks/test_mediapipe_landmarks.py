"""The landmark networks: padding as in TensorFlow, unit hands, and the expected error as confidence."""

import pytest
import torch
from torch.nn import functional as F

from hand.errors import UserError
from runtime.networks.mediapipe_landmarks import (
    INPUT_PX,
    InvertedResidual,
    LandmarkOutput,
    MediaPipeLandmarks,
    MediaPipeLandmarksLite,
    SameConv2d,
)
from runtime.networks.network import HandNetwork, map_network
from tests.runtime.hands import flexed_hand


def output_of(joints: torch.Tensor, pixels: torch.Tensor, presence: float = 0.95) -> LandmarkOutput:
    """The models' output for one hand (21, 3) and its pixels (21, 2)."""
    screen = torch.cat([pixels, torch.zeros(21, 1)], 1)
    return LandmarkOutput(screen.view(1, 63), torch.tensor([presence]), torch.tensor([0.9]), joints.reshape(1, 63))


@pytest.mark.parametrize(("kernel", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_padding_of_stride_two_comes_last(kernel, before, after):
    """TensorFlow's SAME: kernel − stride pixels in all, the smaller half first."""
    conv, images = SameConv2d(2, 3, kernel, 2), torch.randn(1, 2, 8, 8)
    padded = F.pad(images, (before, after, before, after))
    torch.testing.assert_close(conv(images), F.conv2d(padded, conv.weight, conv.bias, stride=2))
    assert conv(images).shape == (1, 3, 4, 4)


def test_a_block_has_a_shortcut_where_its_channels_stay_as_many():
    images = torch.randn(1, 8, 6, 6)
    for block, kept in (
        (InvertedResidual(8, 8, 16, 3, 1), images),
        (InvertedResidual(8, 8, 16, 3, 2), F.max_pool2d(images, 2)),
        (InvertedResidual(8, 4, 16, 3, 1), torch.zeros(1, 4, 6, 6)),
    ):
        for value in block.project.parameters():
            torch.nn.init.zeros_(value)
        torch.testing.assert_close(block(images), kept)


@pytest.mark.parametrize(
    ("kind", "features", "parameters"), [(MediaPipeLandmarks, 1152, 2.72e6), (MediaPipeLandmarksLite, 672, 1.01e6)]
)
def test_networks_have_the_published_size(kind, features, parameters):
    network = kind().eval()
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(parameters, rel=0.01)
    with torch.inference_mode():
        images = torch.randint(256, (2, INPUT_PX, INPUT_PX, 3), dtype=torch.uint8)
        assert network.features(network.normalise(images)).shape == (2, features)
        hands = HandNetwork(network, INPUT_PX)(images)
    assert [value.shape for value in hands] == [(2, 21, 3), (2, 21, 2), (2, 21), (2,), (2,), (2, 21)]
    assert hands._fields == kind.outputs


def test_hands_are_unit_hands_whatever_the_size_in_metres():
    joints = torch.from_numpy(flexed_hand()).float()
    pixels = 40 * joints[:, :2] + 112
    network = MediaPipeLandmarksLite()
    near, far = (network.hands(output_of(scale * joints + 0.03, pixels), INPUT_PX) for scale in (0.07, 0.1))
    torch.testing.assert_close(near.joints, far.joints)
    torch.testing.assert_close(near.joints[0], joints)
    torch.testing.assert_close(near.pixels[0], pixels)
    torch.testing.assert_close(near.confidence, far.confidence)


def test_confidence_falls_with_presence_and_with_a_misfit_of_pixels_and_joints():
    joints = torch.from_numpy(flexed_hand()).float()
    pixels = 40 * joints[:, :2] + 112
    bent = pixels.clone()
    bent[5:9] += 20
    outputs = output_of(0.09 * joints, pixels), output_of(0.09 * joints, pixels, presence=0.5), output_of(0.09 * joints, bent)
    sure, absent, misfit = (MediaPipeLandmarksLite().hands(output, INPUT_PX).confidence for output in outputs)
    assert (sure > absent).all() and (sure > misfit).all() and (misfit > 0).all()


def test_a_collapsed_hand_has_finite_output():
    hands = MediaPipeLandmarksLite().hands(output_of(torch.zeros(21, 3), torch.zeros(21, 2), presence=1.0), INPUT_PX)
    assert all(torch.isfinite(value).all() for value in hands)


def test_training_by_maps_refuses_it():
    with pytest.raises(UserError, match="a MediaPipeLandmarksLite has no heat maps"):
        map_network(HandNetwork(MediaPipeLandmarksLite(), INPUT_PX))
