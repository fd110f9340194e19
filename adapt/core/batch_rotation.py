"""Rotations between the two views, in batches: of one pair, of a batch, of all unlabelled pairs at the start, and over time.

All are R_right_from_left and act on column vectors; sets of row points turn by `points @ R.mT`.
"""

import numpy as np
import torch
from torch import Tensor

from capture.views import PerView
from hand.rotations import from_quaternion
from runtime.geometry.rotation_estimator import RotationEstimator


def project(matrix: Tensor) -> Tensor:
    """The rotations nearest to matrices (..., 3, 3): U diag(1, 1, det(U Vᵀ)) Vᵀ."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.linalg.det(u @ vt)
    return torch.cat([u[..., :2], u[..., 2:] * sign[..., None, None]], -1) @ vt


def correlation(joints: PerView[Tensor], weight: Tensor) -> Tensor:
    """(..., 3, 3) M = Σ w_j right_j left_jᵀ of joints (..., J, 3) and weights (..., J)."""
    return (joints.right * weight[..., None]).mT @ joints.left


def rot(joints: PerView[Tensor], weight: Tensor) -> Tensor:
    """(..., 3, 3) the rotation that minimises Σ w_j ‖R left_j − right_j‖² (Kabsch 1976), of joints as in `correlation`.

    The published code has no determinant in it, and so gives reflections for flat, noisy hands.
    """
    return project(correlation(joints, weight))


def batch_rotation(joints: PerView[Tensor], weight: Tensor) -> Tensor:
    """(3, 3) the rotation of all N pairs together, as `rot` of all their joints.

    A pair counts by how far its hands spread out, which determines a rotation, and the less, the worse its two hands fit
    each other even when turned their best: then one of them is wrong.
    """
    M = correlation(joints, weight)
    off = ((joints.left @ project(M).mT - joints.right) ** 2).sum(-1)
    misfit = (off * weight).sum(-1) / weight.sum(-1).clamp_min(1e-9)
    # Half of the typical misfit is added: two bad hands may fit each other well by chance.
    trust = 1 / (misfit + 0.5 * misfit.median() + 1e-9)
    return project(torch.tensordot(trust, M, 1))


def published_batch_rotation(joints: PerView[Tensor], weight: Tensor) -> Tensor:
    """(3, 3) as published: the mean of the pairs' quaternions, each with the sign that its largest component has by convention.

    Signs may differ between alike rotations of more than 120°, which then cancel.
    """
    rotation = rot(joints, weight)
    # The convention is about matrices that turn row vectors.
    return _from_quaternion(_quaternion(rotation.mT).mean(0)).mT


def drift(rotation: Tensor, towards: Tensor, eta: float) -> Tensor:
    """(3, 3) R ← η R + (1 − η) R_batch, back on the rotations."""
    return project(eta * rotation + (1 - eta) * towards)


def initial_rotation(joints: PerView[Tensor], weight: Tensor) -> tuple[Tensor, float]:
    """(3, 3) from N unlabelled pairs, robustly, and its uncertainty in degrees (infinite for fewer than two that differ).

    `joints` are unit hands (N, 21, 3) in each camera's axes, `weight` (N, 21). At least one pair has some weight.
    """
    hands = joints.map(lambda x: x.double().cpu().numpy())
    estimator = RotationEstimator()
    for left, right, of_pair in zip(hands.left, hands.right, weight.double().cpu().numpy(), strict=True):
        # All at one time: no pair is older than another.
        estimator.update(0, left, right, of_pair)
    assert estimator.rotation is not None, "no pair is finite and seen by both views"
    return torch.from_numpy(estimator.rotation).to(joints.left), estimator.uncertainty_deg


def angle_deg(a: Tensor, b: Tensor) -> Tensor:
    """Geodesic distances (...) in degrees between rotations (..., 3, 3)."""
    distance = torch.linalg.matrix_norm(a - b) / 8**0.5
    return torch.rad2deg(2 * torch.asin(distance.clamp_max(1)))


def _quaternion(rotation: Tensor) -> Tensor:
    """(N, 4) w, x, y, z of rotations (N, 3, 3): w is positive where the trace is, else that of x, y, z which is largest."""
    xx, yy, zz = rotation.diagonal(dim1=1, dim2=2).unbind(-1)
    skew, symmetric = rotation - rotation.mT, rotation + rotation.mT
    x, y, z = skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]
    xy, xz, yz = symmetric[:, 0, 1], symmetric[:, 0, 2], symmetric[:, 1, 2]
    # Each row is the quaternion times four of its own component on the diagonal.
    rows = (
        (1 + xx + yy + zz, x, y, z),
        (x, 1 + xx - yy - zz, xy, xz),
        (y, xy, 1 - xx + yy - zz, yz),
        (z, xz, yz, 1 - xx - yy + zz),
    )
    table = torch.stack([torch.stack(row, -1) for row in rows], 1)
    trace = xx + yy + zz
    largest = 1 + torch.stack([xx, yy, zz], -1).argmax(-1)
    chosen = table[torch.arange(len(rotation), device=rotation.device), torch.where(trace > 0, 0, largest)]
    return chosen / chosen.norm(dim=-1, keepdim=True)


def _from_quaternion(quaternion: Tensor) -> Tensor:
    """(3, 3) of w, x, y, z (4,) of any length but zero."""
    matrix = from_quaternion(np.array((quaternion / quaternion.norm()).tolist()))
    return torch.from_numpy(matrix).to(quaternion)
