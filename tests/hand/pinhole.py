"""Consistency of joints and pixels under one pinhole camera."""

import torch


def reprojection_error_px(joints: torch.Tensor, pixels: torch.Tensor, size: int) -> torch.Tensor:
    """(N,) largest distance between `pixels` (N, 21, 2) and the best projection of `joints` (N, 21, 3).

    The camera has its principal point in the middle of `size` px; its focal length f and the hand's place (x, y, z), in
    hands, are what fits best: (joint_xy + xy) f = (pixel − middle) (joint_z + z) is linear in f, f x, f y and z.
    """
    joints, offset = joints.double(), pixels.double() - (size - 1) / 2
    one, zero = torch.ones_like(joints[..., 0]), torch.zeros_like(joints[..., 0])
    rows_x = torch.stack([joints[..., 0], one, zero, -offset[..., 0]], -1)
    rows_y = torch.stack([joints[..., 1], zero, one, -offset[..., 1]], -1)
    target = (offset * joints[..., 2:]).transpose(1, 2).flatten(1)
    fit = torch.linalg.lstsq(torch.cat([rows_x, rows_y], 1), target[..., None]).solution
    focal, x, y, z = fit.unbind(1)
    projected = torch.stack([joints[..., 0] * focal + x, joints[..., 1] * focal + y], -1) / (joints[..., 2:] + z[..., None])
    return (projected - offset).norm(dim=-1).amax(1)
