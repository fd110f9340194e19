"""How uncertain MediaPipe's landmarks are: its models give a presence for each hand, and no confidence for a joint.

Indicators of the error were chosen on synthetic hands of known joints (`tools.evaluate.landmark_confidence`, which also gave
the figures below): the presence; how badly the two outputs of the model, joints in space and in the picture, fit each other; and
how far the bones are from the lengths that bones have. The expected error is a product of powers of the three and of the
joint's typical error.
"""

import numpy as np

from hand.joints import PARENTS, unit_hand
from runtime.estimators.hand_landmarks import Landmarks
from runtime.networks.detnet_lite import CONFIDENCE_SCALE

PIXEL_SHARE = 0.16
"""Standard deviation of a landmark's pixel along one axis, as a share of the joint's expected error in 3D."""
TYPICAL_ERROR = np.array(
    [0.34, 0.23, 0.29, 0.44, 0.58, 0.34, 0.47, 0.52, 0.6, 0.32, 0.48, 0.54, 0.59, 0.34, 0.48, 0.52, 0.57, 0.35, 0.47, 0.48, 0.53]
)
"""(21,) hands, at the usual indicators; the wrist, where hands are laid over each other, counts like a knuckle."""
POWERS = np.array([0.099, 0.347, 0.072])
"""(3,) of absence, misfit and bones, each as a share of what is usual."""
USUAL = np.array([0.043, 0.071, 0.204])
_BONES = np.arange(1, 21)
_PARENTS = np.array([PARENTS[joint] for joint in _BONES])
BONES = np.array(
    [0.39, 0.33, 0.35, 0.29, 1.02, 0.28, 0.24, 0.27, 1.0, 0.37, 0.27, 0.28, 0.99, 0.28, 0.26, 0.25, 0.88, 0.22, 0.22, 0.19]
)
"""(20,) lengths in hands that the model's hands have in the middle; from each joint's parent to it."""


def error_indicators(landmarks: Landmarks, bones: np.ndarray = BONES) -> np.ndarray:
    """(3,) positive: 1 − presence; misfit of space and picture, hands; misfit of bones with lengths (20,), a logarithm.

    The misfits are root mean squares.
    """
    unit = unit_hand(landmarks.world)
    flat, pixels = (points - points.mean(0) for points in (unit[:, :2], landmarks.pixels))
    px_per_hand = max((flat * pixels).sum() / (flat**2).sum(), 1e-6)
    misfit = np.sqrt(((pixels / px_per_hand - flat) ** 2).sum(1).mean())
    off = np.sqrt((np.log(np.maximum(bone_lengths(unit), 1e-3) / bones) ** 2).mean())
    return np.clip([1 - landmarks.presence, misfit, off], 1e-4, 10.0)


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """(20,) from each joint's parent to it, of joints (21, 3)."""
    return np.linalg.norm(joints[_BONES] - joints[_PARENTS], axis=1)


def expected_error(landmarks: Landmarks) -> np.ndarray:
    """(21,) expected distance of the unit hand's joints from the truth, hands."""
    return TYPICAL_ERROR * np.prod((error_indicators(landmarks) / USUAL) ** POWERS)


def confidence(landmarks: Landmarks) -> np.ndarray:
    """(21,) in [0, 1]: the expected error as all estimators tell it (`runtime.estimators.uncertainty`)."""
    return np.exp(-expected_error(landmarks) / CONFIDENCE_SCALE)
