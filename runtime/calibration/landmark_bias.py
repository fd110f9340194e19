"""How far a solution is moved by landmarks that are off in the same way in every pair.

A network puts a joint where it has learned to: on the skin, along the bone, nearer to a mean hand; each view in its own way. No
residual shows such an error, since a solution fits it away, and no number of pairs averages it out. So each joint has, in each
view, an offset in the hand's own axes as a "consider parameter" (Schmidt 1966): it is not estimated, but what it may move counts.
"""

import numpy as np

from capture.views import VIEWS
from hand.joints import JOINTS
from hand.rotations import align
from runtime.calibration.bundle import Bundle
from runtime.calibration.noise import Eliminated
from runtime.calibration.variables import GLOBALS, Scene

BIAS_SIGMA = 0.05
"""Hands; standard deviation of each joint's offset along each axis. Measured on rendered hands: 0.04 for DetNet-lite, 0.05 for
MediaPipe's landmarks."""
_RIGID = (0, 5, 9, 13, 17)
"""The wrist and the knuckles, which hardly move against each other."""
_ROUNDS = 3


def bias_covariance(bundle: Bundle, scene: Scene, eliminated: Eliminated) -> np.ndarray:
    """(28, 28) covariance of the shared unknowns that comes from offsets of `BIAS_SIGMA`."""
    moves = bias_moves(bundle, scene, eliminated).reshape(GLOBALS, -1)
    return BIAS_SIGMA**2 * moves @ moves.T


def bias_moves(bundle: Bundle, scene: Scene, eliminated: Eliminated) -> np.ndarray:
    """(28, 2, 21, 3) how the shared unknowns' minimum moves with where each view sees each joint, hand's own axes."""
    R_left_from_hand = hand_axes(scene.joints)
    by_global = eliminated.by_global.reshape(-1, JOINTS, 3, GLOBALS)
    cross = np.zeros((len(VIEWS), GLOBALS, JOINTS, 3))
    for number, view in enumerate(VIEWS):
        derivatives = bundle.view_derivatives(scene, view)
        by_bias = np.einsum("iafj,fab->ibfj", derivatives.by_joint, R_left_from_hand) * derivatives.weight
        cross[number, derivatives.columns] += np.einsum("ikfj,ibfj->kjb", derivatives.by_global, by_bias)
        # What the joints give way to is no pull on the cameras.
        block = np.einsum("iafj,ibfj->fjab", derivatives.by_joint, by_bias)
        cross[number] -= np.einsum("fjag,fjab->gjb", by_global, block)
    return np.einsum("gh,vhjb->gvjb", eliminated.inverse, cross)


def hand_axes(joints: np.ndarray) -> np.ndarray:
    """(F, 3, 3) R_camera_from_hand of hands of joints (F, 21, 3), in axes that all of them share."""
    palms = joints[:, _RIGID] - joints[:, _RIGID].mean(1, keepdims=True)
    mean = palms[len(palms) // 2]
    for _ in range(_ROUNDS):
        R = align(np.broadcast_to(mean, palms.shape), palms)
        mean = np.median(palms @ R, axis=0)
    return R
