"""DetNet as published (Zhou et al. 2020, Monocular Real-time Hand Shape and Motion Capture), in the form S2DHand uses.

Module names are those of the published checkpoints, so that they load as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.joints import JOINTS
from runtime.networks.network import Decoded, MapNetwork, Maps, peak_pixels, peaks, read_at


class DetNet(MapNetwork):
    """128×128 RGB to maps of 32×32; 12.97 M parameters, 27.5 GFLOP a view."""

    stride = 4
    heat_sigma = 1.2
    predicts_error = False

    def __init__(self, root: int = 0):
        super().__init__()
        self.root = root
        self.resnet50 = _Trunk()
        features = self.resnet50.channels
        self.hmap_0 = _Head(features, JOINTS)
        self.dmap_0 = _Head(features + JOINTS, 3 * JOINTS)
        self.lmap_0 = _Head(features + 4 * JOINTS, 3 * JOINTS)

    def forward(self, images: Tensor) -> Maps:
        """Maps of RGB images (N, 3, 128, 128) in [−0.5, 0.5]."""
        features = self.resnet50(images)
        heat = torch.sigmoid(self.hmap_0(features))
        features = torch.cat([features, heat], 1)
        delta = self.dmap_0(features)
        location = self.lmap_0(torch.cat([features, delta], 1))
        return Maps(heat, delta, location)

    def decode(self, maps: Maps, size: int) -> Decoded:
        """Joints from the location maps at each heat map's arg-max; its maximum is the confidence."""
        index, confidence = peaks(maps.heat)
        return Decoded(read_at(maps.location, index), peak_pixels(maps.heat, index, size), confidence)


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, *, dilation: int = 1, pooled: bool = False):
        super().__init__()
        outputs, stride = 4 * width, 2 if pooled else 1
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        if pooled:
            self.shortcut = nn.MaxPool2d(2)
        elif inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


class _Trunk(nn.Module):
    channels = 256 + 2

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.block1 = _stage(64, 64, 2, dilation=1)
        self.pool = nn.Sequential(_Bottleneck(256, 64, pooled=True))
        self.block2 = _stage(256, 128, 4, dilation=2)
        self.block3 = _stage(512, 256, 6, dilation=4)
        self.squeeze = nn.Sequential(nn.Conv2d(1024, 256, 3, padding=1, bias=False), nn.BatchNorm2d(256), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.squeeze(self.block3(self.block2(self.pool(self.block1(x)))))
        return torch.cat([x, _coordinates(x)], 1)


class _Head(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.project = nn.Sequential(nn.Conv2d(inputs, 256, 3, padding=1, bias=False), nn.BatchNorm2d(256), nn.ReLU())
        self.prediction = nn.Conv2d(256, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.prediction(self.project(features))


def _stage(inputs: int, width: int, blocks: int, *, dilation: int) -> nn.Sequential:
    rest = (_Bottleneck(4 * width, width, dilation=dilation) for _ in range(blocks - 1))
    return nn.Sequential(_Bottleneck(inputs, width, dilation=dilation), *rest)


def _coordinates(features: Tensor) -> Tensor:
    """(N, 2, M, M): each cell's x and y, −1 at the first cell and 1 at the last."""
    count, _, height, width = features.shape
    x = torch.linspace(-1, 1, width, dtype=features.dtype, device=features.device)
    y = torch.linspace(-1, 1, height, dtype=features.dtype, device=features.device)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
    return grid.expand(count, -1, -1, -1)
