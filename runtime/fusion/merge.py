"""Merging of two views' hands by rotation, joint by joint, by confidence (S2DHand, attention-based merging)."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from capture.views import PerView
from hand.joints import unit_hand
from runtime.types import ViewHand

MergeRule = Literal["max", "softmax", "mean"]
DEFAULT_BETA = 8.0
"""Of `softmax`: at 0.3 more confidence, a view has a share of about 0.9 in the joint."""


@dataclass(frozen=True, slots=True)
class MergedHand:
    """One hand from one or two views."""

    joints: np.ndarray
    """(21, 3) unit hand, left camera's axes."""
    weight_left: np.ndarray
    """(21,) share of the left view."""


def merge(
    hands: PerView[ViewHand], R_right_from_left: np.ndarray, rule: MergeRule = "softmax", beta: float = DEFAULT_BETA
) -> MergedHand:
    """ŷ = ω J_left + (1 − ω) Rᵀ J_right, as a unit hand."""
    weight = view_weights(hands.left.confidence, hands.right.confidence, rule, beta)[:, None]
    joints = weight * hands.left.joints + (1 - weight) * (hands.right.joints @ R_right_from_left)
    return MergedHand(unit_hand(joints), weight[:, 0])


def carry(hands: PerView[ViewHand | None], R_right_from_left: np.ndarray | None) -> MergedHand | None:
    """The hand of the one view that has it; None where neither has, or where only the right has and R is unknown."""
    if hands.left is not None:
        return MergedHand(unit_hand(hands.left.joints), np.ones(len(hands.left.joints)))
    if hands.right is not None and R_right_from_left is not None:
        return MergedHand(unit_hand(hands.right.joints @ R_right_from_left), np.zeros(len(hands.right.joints)))
    return None


def view_weights(left: np.ndarray, right: np.ndarray, rule: MergeRule, beta: float = DEFAULT_BETA) -> np.ndarray:
    """Share of the left view, from confidences of equal shape; equal confidences give equal shares under every rule."""
    assert rule in get_args(MergeRule), rule
    if rule == "mean":
        return np.full(np.shape(left), 0.5)
    if rule == "max":
        return 0.5 + 0.5 * np.sign(left - right)
    return 0.5 + 0.5 * np.tanh(beta * (left - right) / 2)
