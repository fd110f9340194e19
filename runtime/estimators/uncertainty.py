"""How uncertain a view's joints are: standard deviations from the network's confidence."""

import numpy as np

from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.types import ViewHand

MIN_ERROR = 0.05
"""Smallest expected error, hands."""
_MIN_CONFIDENCE = 1e-30


def expected_error(confidence: np.ndarray) -> np.ndarray:
    """Expected distance of joints from the truth, hands, from confidences (...) in [0, 1] as DetNet-lite gives them."""
    return np.maximum(-CONFIDENCE_SCALE * np.log(np.clip(confidence, _MIN_CONFIDENCE, 1)), MIN_ERROR)


def shape_sigma(hand: ViewHand) -> np.ndarray:
    """(21,) standard deviation of each joint of the view's own unit hand, hands."""
    return expected_error(hand.confidence)


def pixel_error(hand: ViewHand) -> np.ndarray:
    """(21,) standard deviation of each joint's pixel along one axis, hands as large as this one is in the picture."""
    return hand.pixel_share * expected_error(hand.confidence)


def sigma_px(hand: ViewHand) -> np.ndarray:
    """(21,) standard deviation of each joint's pixel along one axis; not finite for a hand that has no width across the view."""
    return px_per_hand(hand.joints, hand.pixels) * pixel_error(hand)


def px_per_hand(joints: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(..., 1) how large a hand of joints (..., 21, 3) is seen at pixels (..., 21, 2): the ratio of their spreads."""

    def spread(points: np.ndarray) -> np.ndarray:
        return ((points - points.sum(-2, keepdims=True) / points.shape[-2]) ** 2).sum((-2, -1))

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(spread(pixels) / spread(joints[..., :2]))[..., None]
