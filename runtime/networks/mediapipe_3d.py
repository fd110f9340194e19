"""MediaPipe's full landmark model with a depth and a doubt of our own; its pixels, presence and handedness stay as they are.

Its features hold more of the depth than its own 3D head reads from them. Own layers, which begin as copies of its last ones,
and own heads behind them learn on rendered hands; no layer that its pixels come from does. Weights hold the copies' differences
from the fetched model alone (`runtime.networks.weights`).
"""

import math
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.joints import JOINTS
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.networks.mediapipe_landmarks import (
    INPUT_PX,
    InvertedResidual,
    LandmarkHands,
    LandmarkOutput,
    MediaPipeLandmarks,
    spatial,
)
from runtime.networks.network import unit

_FIRST_ERROR = 0.2
"""Hands; expected of each joint before training."""
_LEAST_ABSENCE, _LEAST_REACH = 1e-3, 0.05
_LOG_ERROR_RANGE = (-6.0, 2.0)
_DISTANCE_PER_SIGMA = math.sqrt(math.pi / 2)
"""Mean distance of points that are normally distributed along two axes, in standard deviations of one."""


class Output3D(NamedTuple):
    """The network's outputs for N crops."""

    landmarks: LandmarkOutput
    """MediaPipe's own."""
    joints: Tensor
    """(N, 21, 3) unit hands."""
    log_error: Tensor
    """(N, 42) logarithms of the expected errors: of the joints, then of the pixels, hands."""


class ExpectedError(nn.Module):
    """How far off joints and pixels are expected to be: by the joint, its distance from the wrist, and the presence.

    So few numbers since a layer on the features ranks the errors of rendered hands better than this does, and those of real hands
    worse. Most of a real hand's error is that it is turned, hence the distance from the wrist.
    """

    def __init__(self) -> None:
        super().__init__()
        self.usual = nn.Parameter(torch.full((2 * JOINTS,), math.log(_FIRST_ERROR)))
        self.absence = nn.Parameter(torch.zeros(2 * JOINTS))
        self.reach = nn.Parameter(torch.zeros(2, 1))

    def forward(self, joints: Tensor, presence: Tensor) -> Tensor:
        """Log errors (N, 42) of unit hands (N, 21, 3) with presences (N,)."""
        absence = (1 - presence).clamp_min(_LEAST_ABSENCE).log()[:, None]
        reach = joints.norm(dim=-1).clamp_min(_LEAST_REACH).log()[:, None]
        return (self.usual + self.absence * absence + (self.reach * reach).flatten(1)).clamp(*_LOG_ERROR_RANGE)


class MediaPipe3D(MediaPipeLandmarks):
    """RGB crops (N, 3, 224, 224) in [0, 1] to `Output3D`; 3.3 M parameters."""

    def __init__(self, root: int = 0, hidden: int = 256, own_blocks: int = 0):
        """`hidden`: width of the heads' hidden layer; `own_blocks`: how many blocks before the last layers are copied too."""
        super().__init__(root)
        self._shared_blocks = len(self.blocks) - own_blocks
        before_own = [*self.blocks][self._shared_blocks - 1]
        assert isinstance(before_own, InvertedResidual)
        self._shared_channels: int = before_own.project.out_channels
        self.own_trunk = nn.Sequential(*deepcopy([*self.blocks][self._shared_blocks :]), deepcopy(self.last))
        self.own_hidden = nn.Linear(self.feature_count, hidden)
        self.correction = nn.Linear(hidden, 3 * JOINTS)
        """What is added to MediaPipe's unit hand."""
        self.expected_error = ExpectedError()
        for value in self.correction.parameters():
            nn.init.zeros_(value)

    def copies(self) -> dict[str, str]:
        sources = [f"blocks.{number}" for number in range(self._shared_blocks, len(self.blocks))] + ["last"]
        return {
            f"own_trunk.{number}.{name}": f"{source}.{name}"
            for number, source in enumerate(sources)
            for name in self.get_submodule(source).state_dict()
        }

    def features(self, images: Tensor) -> Tensor:
        """(N, 2 · `feature_count`): what MediaPipe's heads read, then what the own heads read."""
        shared = self.blocks[: self._shared_blocks](self.stem(images))
        return torch.cat([self._theirs(shared), self.own_trunk(shared).mean((2, 3))], 1)

    def fixed(self, images: Tensor) -> Tensor:
        """(N, K): what MediaPipe's own layers give, which never learn, so that it is computed once for each crop."""
        shared = self.blocks[: self._shared_blocks](self.stem(images))
        return torch.cat([self._theirs(shared), shared.permute(0, 2, 3, 1).flatten(1)], 1)

    def features_of(self, fixed: Tensor) -> Tensor:
        """See `features`; of what `fixed` gives."""
        theirs, shared = fixed[:, : self.feature_count], fixed[:, self.feature_count :]
        side = math.isqrt(shared.shape[1] // self._shared_channels)
        shared = shared.unflatten(1, (side, side, self._shared_channels)).permute(0, 3, 1, 2)
        return torch.cat([theirs, self.own_trunk(shared).mean((2, 3))], 1)

    def _theirs(self, shared: Tensor) -> Tensor:
        return self.last(self.blocks[self._shared_blocks :](shared)).mean((2, 3))

    def read(self, features: Tensor) -> Output3D:
        theirs, own = features.split(self.feature_count, 1)
        landmarks: LandmarkOutput = super().read(theirs)
        correction = self.correction(F.relu(self.own_hidden(own)))
        joints = unit(spatial(landmarks)[0] + correction.unflatten(1, (JOINTS, 3)))
        return Output3D(landmarks, joints, self.expected_error(joints, landmarks.presence))

    def hands(self, raw: Any, size: int) -> LandmarkHands:
        """Confidence falls with the expected error."""
        assert size == INPUT_PX, f"pixels are those of crops of {INPUT_PX} px, not {size}"
        output: Output3D = raw
        landmarks, (_, pixels) = output.landmarks, spatial(output.landmarks)
        error, distance = output.log_error.exp().split(JOINTS, 1)
        confidence = torch.exp(-error / CONFIDENCE_SCALE)
        sigma = distance / _DISTANCE_PER_SIGMA
        return LandmarkHands(output.joints, pixels, confidence, landmarks.presence, landmarks.right, sigma)
