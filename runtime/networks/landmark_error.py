"""How far off MediaPipe's landmarks are expected to be: its models give a presence for each hand, and no confidence for a joint.

Indicators of the error were chosen on synthetic hands of known joints (`tools.evaluate.landmark_confidence`, which also gave
the figures below): the presence; how badly the two outputs of the model, joints in space and in the picture, fit each other; and
how far the bones are from the lengths that bones have. The expected error is a product of powers of the three and of the
joint's typical error.
"""

import torch
from torch import Tensor

from hand.joints import PARENTS

TYPICAL_ERROR = (
    0.34, 0.23, 0.29, 0.44, 0.58, 0.34, 0.47, 0.52, 0.6, 0.32, 0.48, 0.54, 0.59, 0.34, 0.48, 0.52, 0.57, 0.35, 0.47, 0.48, 0.53,
)  # fmt: skip
"""21, in hands, at the usual indicators; the wrist, where hands are laid over each other, counts like a knuckle."""
POWERS = (0.099, 0.347, 0.072)
"""Of absence, misfit and bones, each as a share of what is usual."""
USUAL = (0.043, 0.071, 0.204)
BONES = (0.39, 0.33, 0.35, 0.29, 1.02, 0.28, 0.24, 0.27, 1.0, 0.37, 0.27, 0.28, 0.99, 0.28, 0.26, 0.25, 0.88, 0.22, 0.22, 0.19)
"""20 lengths in hands that the model's hands have in the middle; from each joint's parent to it."""
PIXEL_SHARE = 0.16
"""Standard deviation of a landmark's pixel along one axis, as a share of the joint's expected error in 3D."""
_PARENTS = [PARENTS[joint] for joint in range(1, 21)]
_LEAST, _MOST = 1e-4, 10.0
"""Of an indicator."""


def error_indicators(joints: Tensor, pixels: Tensor, presence: Tensor, bones: Tensor | None = None) -> Tensor:
    """(N, 3) positive: 1 − presence; misfit of space and picture, hands; misfit of bones with lengths (20,), a logarithm.

    Of unit hands (N, 21, 3), pixels (N, 21, 2) and presences (N,). The misfits are root mean squares.
    """
    flat, seen = (points - points.mean(1, keepdim=True) for points in (joints[..., :2], pixels))
    px_per_hand = ((flat * seen).sum((1, 2)) / (flat**2).sum((1, 2)).clamp_min(1e-12)).clamp_min(1e-6)
    misfit = ((seen / px_per_hand[:, None, None] - flat) ** 2).sum(2).mean(1).sqrt()
    known = joints.new_tensor(BONES) if bones is None else bones
    off = ((bone_lengths(joints).clamp_min(1e-3) / known).log() ** 2).mean(1).sqrt()
    return torch.stack([1 - presence, misfit, off], 1).clamp(_LEAST, _MOST)


def bone_lengths(joints: Tensor) -> Tensor:
    """(..., 20) from each joint's parent to it, of joints (..., 21, 3)."""
    return (joints[..., 1:, :] - joints[..., _PARENTS, :]).norm(dim=-1)


def expected_error(joints: Tensor, pixels: Tensor, presence: Tensor) -> Tensor:
    """(N, 21) expected distance of the unit hand's joints from the truth, hands."""
    shares = error_indicators(joints, pixels, presence) / joints.new_tensor(USUAL)
    worse = (shares.log() * joints.new_tensor(POWERS)).sum(1, keepdim=True).exp()
    return joints.new_tensor(TYPICAL_ERROR) * worse
