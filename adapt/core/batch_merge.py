"""Attention-based merging in batches: each joint from the view with the higher confidence (S2DHand, section 3.3).

`runtime.fusion.merge` does the same for one hand of a stream; here a joint may also be hidden in a view.
"""

import torch
from torch import Tensor

from capture.views import PerView
from runtime.fusion.merge import MergeRule


def merge_batch(
    joints: PerView[Tensor],
    confidence: PerView[Tensor],
    visible: PerView[Tensor],
    R_right_from_left: Tensor,
    rule: MergeRule,
    beta: float,
) -> PerView[Tensor]:
    """The merged hands (N, 21, 3), in each camera's axes; a joint that one view alone sees is that view's.

    `joints` (N, 21, 3) in each camera's axes, of one root and scale; `confidence` (N, 21); `visible` (N, 21) bool.
    """
    weight = _view_weights(confidence, rule, beta)
    weight = torch.where(visible.left == visible.right, weight, visible.left.to(weight))[..., None]
    left = weight * joints.left + (1 - weight) * (joints.right @ R_right_from_left)
    return PerView(left, left @ R_right_from_left.mT)


def _view_weights(confidence: PerView[Tensor], rule: MergeRule, beta: float) -> Tensor:
    """(N, 21) share of the left view; views of equal confidence share equally under every rule."""
    difference = confidence.left - confidence.right
    if rule == "mean":
        return torch.full_like(difference, 0.5)
    return 0.5 + 0.5 * difference.sign() if rule == "max" else torch.sigmoid(beta * difference)
