"""MediaPipe's hand landmark models as networks of torch: the same numbers as in LiteRT, and they can learn.

The graph of their TFLite files (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020) is an EfficientNet-Lite
(Tan and Le 2019, without squeeze and excitation, ReLU6) whose last block is not projected. Four linear heads read the mean of
its features. Batch-norms are folded into the convolutions there, so there are none. Weights: `runtime.networks.mediapipe_base`.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.joints import JOINTS
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.networks.landmark_error import PIXEL_SHARE, expected_error
from runtime.networks.network import CropNetwork, unit

INPUT_PX = 224
"""Side of the crops that the models were trained on; pixels are predicted in it."""
_EXPANSION, _FIRST_EXPANSION = 6, 4
_STAGES = ((2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2))
"""Blocks, kernel and stride of each stage after the stem."""


class LandmarkOutput(NamedTuple):
    """The models' own outputs for N crops."""

    screen: Tensor
    """(N, 63) x, y and depth of each joint in px of the crop; the wrist's depth is about 0."""
    presence: Tensor
    """(N,) in [0, 1]: that the crop shows a hand."""
    right: Tensor
    """(N,) in [0, 1]: that it is a right hand."""
    world: Tensor
    """(N, 63) metres, crop axes, about the hand's middle."""


class LandmarkHands(NamedTuple):
    """Output of a landmark network and of its exported graph."""

    joints: Tensor
    """(N, 21, 3) unit hands (wrist-rooted, 0→9 length 1), crop axes."""
    pixels: Tensor
    """(N, 21, 2) in the crop."""
    confidence: Tensor
    """(N, 21) in [0, 1]."""
    presence: Tensor
    """(N,) in [0, 1]: that the crop shows a hand."""
    right: Tensor
    """(N,) in [0, 1]: that it is a right hand, as the crop shows it."""
    pixel_sigma: Tensor
    """(N, 21) standard deviation of each joint's pixel along one axis, hands as large as this one is in the crop."""


class MediaPipeLandmarks(CropNetwork):
    """`hand_landmark_full`: RGB crops (N, 3, 224, 224) in [0, 1] to `LandmarkOutput`; 2.7 M parameters."""

    outputs = LandmarkHands._fields
    predicts_error = True
    framed_around = "palm"
    widths: ClassVar[tuple[int, ...]] = (16, 24, 40, 80, 112, 192)
    """Channels after the stem and after each stage."""

    def __init__(self, root: int = 0):
        super().__init__()
        self.root = root
        first, *widths = self.widths
        self.stem = nn.Sequential(SameConv2d(3, 24, 3, 2), nn.ReLU6(), depthwise(24, 3), nn.ReLU6(), nn.Conv2d(24, first, 1))
        blocks, inputs, expansion = [], first, _FIRST_EXPANSION
        for outputs, (count, kernel, stride) in zip(widths, _STAGES, strict=True):
            for number in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion * inputs, kernel, 1 if number else stride))
                inputs, expansion = outputs, _EXPANSION
        self.blocks = nn.Sequential(*blocks)
        self.feature_count = features = _EXPANSION * inputs
        """1152, of the lite model 672."""
        self.last = nn.Sequential(nn.Conv2d(inputs, features, 1), nn.ReLU6(), depthwise(features, 3), nn.ReLU6())
        self.right = nn.Linear(features, 1)
        self.presence = nn.Linear(features, 1)
        self.screen = nn.Linear(features, 3 * JOINTS)
        self.world = nn.Linear(features, 3 * JOINTS)

    def forward(self, images: Tensor) -> Any:
        return self.read(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """(N, `feature_count`): what the heads read."""
        return self.last(self.blocks(self.stem(images))).mean((2, 3))

    def read(self, features: Tensor) -> Any:
        """The heads' outputs, here a `LandmarkOutput`, from the output of `features`."""
        presence, right = (torch.sigmoid(head(features))[:, 0] for head in (self.presence, self.right))
        return LandmarkOutput(self.screen(features), presence, right, self.world(features))

    def normalise(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2).float() * (1 / 255)

    def hands(self, raw: Any, size: int) -> LandmarkHands:
        """Unit hands; confidence falls with the error that `landmark_error` expects."""
        landmarks: LandmarkOutput = raw
        assert size == INPUT_PX, f"pixels are those of crops of {INPUT_PX} px, not {size}"
        joints, pixels = spatial(landmarks)
        error = expected_error(joints, pixels, landmarks.presence)
        pixel_sigma = PIXEL_SHARE * error
        confidence = torch.exp(-error / CONFIDENCE_SCALE)
        return LandmarkHands(joints, pixels, confidence, landmarks.presence, landmarks.right, pixel_sigma)


class MediaPipeLandmarksLite(MediaPipeLandmarks):
    """`hand_landmark_lite`: as the full model, with fewer channels; 1.0 M parameters."""

    widths = (16, 16, 24, 48, 64, 112)


def spatial(landmarks: LandmarkOutput) -> tuple[Tensor, Tensor]:
    """The models' own unit hands (N, 21, 3) and their pixels (N, 21, 2)."""
    return unit(landmarks.world.unflatten(1, (JOINTS, 3))), landmarks.screen.unflatten(1, (JOINTS, 3))[..., :2]


class InvertedResidual(nn.Module):
    """Expanded by a pointwise convolution, filtered depthwise, projected; beside a shortcut where the channels stay as many.

    Sandler et al., MobileNetV2, 2018.
    """

    def __init__(self, inputs: int, outputs: int, expanded: int, kernel: int, stride: int):
        super().__init__()
        self.expand = nn.Conv2d(inputs, expanded, 1)
        self.depthwise = depthwise(expanded, kernel, stride)
        self.project = nn.Conv2d(expanded, outputs, 1)
        self.shortcut = None
        if inputs == outputs:
            self.shortcut = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x)))))
        return y if self.shortcut is None else y + self.shortcut(x)


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 for even sizes, padded as TensorFlow does: the odd row and column of padding come last."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, groups=groups)
        before = (kernel - stride) // 2
        self._padding = (before, kernel - stride - before) * 2

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, self._padding))


def depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of each channel alone."""
    if stride == 1:
        return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
    return SameConv2d(channels, channels, kernel, stride, groups=channels)
