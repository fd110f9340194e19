"""What MediaPipe 3D's own layers learn by: joints in 3D of drawn hands, and, of photographs, that joints fit what is seen.

A photograph has no depth, but the fetched model sees where its joints are; a hand in 3D must lie there, whatever its place
and size, with bones as long as hands have them. And one hand is the same in all crops of it.
"""

import torch
from torch import Tensor, nn

from hand.joints import DEFAULT_HAND_SIZE_MM, JOINTS
from runtime.networks.landmark_error import bone_lengths
from runtime.networks.mediapipe_3d import MediaPipe3D, Output3D
from runtime.networks.mediapipe_landmarks import spatial
from tools.evaluate.metrics import aligned_errors, rank_correlation
from tools.train.frozen_bank import FrozenCrops

MISFIT, BONES, AGREEMENT = 0.3, 0.1, 0.3
"""Weights beside the joints of drawn hands: of photographs' terms, and of what sets the looks at one hand apart."""
_LEAST_BONE = 1e-3


def joint_errors(output: Output3D, crops: FrozenCrops) -> Tensor:
    """(N, 21) distances from the true joints, hands."""
    return (output.joints - crops.joints).norm(dim=-1)


def pixel_errors(output: Output3D, crops: FrozenCrops) -> Tensor:
    """(N, 21) distances from the true pixels, hands as large as the true one is in the crop."""
    return (spatial(output.landmarks)[1] - crops.pixels).norm(dim=-1) * _hands_per_px(crops.joints, crops.pixels)[:, None]


def misfits(joints: Tensor, pixels: Tensor) -> Tensor:
    """(N, 21) distances, hands, of joints (N, 21, 3) before a far camera from pixels (N, 21, 2) at the best place and size."""
    flat, seen = (points - points.mean(1, keepdim=True) for points in (joints[..., :2], pixels))
    return (flat - _hands_per_px(joints, pixels)[:, None, None] * seen).norm(dim=-1)


def _hands_per_px(joints: Tensor, pixels: Tensor) -> Tensor:
    """(N,) the scale that lays pixels best over joints."""
    flat, seen = (points - points.mean(1, keepdim=True) for points in (joints[..., :2], pixels))
    return (flat * seen).sum((1, 2)) / (seen**2).sum((1, 2)).clamp_min(1e-6)


def bone_misfits(joints: Tensor, log_bones: Tensor) -> Tensor:
    """(N, 20) how far bones are from their usual lengths, logarithms (20,)."""
    return (bone_lengths(joints).clamp_min(_LEAST_BONE).log() - log_bones).abs()


def looks_apart(joints: Tensor, frame_from_crop: Tensor) -> Tensor:
    """(N / 2, 21) distances between the two looks at each hand, next to each other, of joints (N, 21, 3) in their crops' axes."""
    shared = joints @ frame_from_crop.mT
    return (shared[::2] - shared[1::2]).norm(dim=-1)


def usual_bones(joints: Tensor) -> Tensor:
    """(20,) mean logarithms of the bones' lengths in hands (N, 21, 3)."""
    return bone_lengths(joints).clamp_min(_LEAST_BONE).log().mean(0)


def landmark_loss(output: Output3D, crops: FrozenCrops, log_bones: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and its figures by name, hands: drawn hands and photographs in any order, two looks at each."""
    drawn = crops.joints.isfinite().all(-1).all(-1)
    errors = (output.joints - torch.nan_to_num(crops.joints)).norm(dim=-1).mean(1)
    joints = (errors * drawn).sum() / drawn.sum().clamp_min(1)
    apart = looks_apart(output.joints, crops.frame_from_crop).mean()
    figures = {"joints": joints.detach(), "apart": apart.detach()}
    loss = joints + AGREEMENT * apart
    if drawn.all():
        return loss, figures
    photographs = ~drawn
    seen = spatial(output.landmarks)[1].detach()
    misfit = (misfits(output.joints, seen).mean(1) * photographs).sum() / photographs.sum()
    bones = (bone_misfits(output.joints, log_bones).mean(1) * photographs).sum() / photographs.sum()
    return loss + MISFIT * misfit + BONES * bones, figures | {"misfit": misfit.detach(), "bones": bones.detach()}


def fit_expected_error(network: MediaPipe3D, output: Output3D, crops: FrozenCrops, steps: int = 300) -> None:
    """Fit the network's expected error to the true errors of hands that its joints did not learn from.

    The errors of joints and pixels are taken to be distributed exponentially, so that what is expected is their mean.
    """
    truth = torch.cat([joint_errors(output, crops), pixel_errors(output, crops)], 1).detach()
    joints, presence = output.joints.detach(), output.landmarks.presence.detach()
    expected: nn.Module = network.expected_error
    optimiser = torch.optim.Adam(expected.parameters(), lr=0.03)
    counts = torch.ones(2 * JOINTS, device=truth.device)
    # The wrist is where hands are laid over each other.
    counts[0] = 0
    for _ in range(steps):
        log_error = expected(joints, presence)
        loss = ((log_error + truth * torch.exp(-log_error)) * counts).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def held_out_figures(output: Output3D, crops: FrozenCrops) -> dict[str, float]:
    """Mean errors on a hand of 90 mm, and how well the expected ones rank them joint by joint, the wrist left out."""
    errors = joint_errors(output, crops).cpu().numpy()
    aligned = aligned_errors(output.joints.cpu().numpy(), crops.joints.cpu().numpy())
    expected = output.log_error[:, :JOINTS].cpu().numpy()
    return {
        "held_mono_mm": float(errors.mean() * DEFAULT_HAND_SIZE_MM),
        "held_pa_mm": float(aligned.mean() * DEFAULT_HAND_SIZE_MM),
        "held_error_rank": rank_correlation(expected[:, 1:], errors[:, 1:]),
    }
