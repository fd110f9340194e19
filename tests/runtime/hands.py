"""Hands for tests: plausible joints without a model, seen by cameras."""

import numpy as np

from hand.joints import FINGERS, unit_hand
from hand.rotations import from_vector


def flexed_hand(flexion: float = 0.4) -> np.ndarray:
    """(21, 3) unit right hand, fingers along −y, palm normal along z, every finger joint bent by `flexion` radians."""
    joints = np.zeros((21, 3))
    bases = {"thumb": (-0.3, -0.3), "index": (-0.25, -1.0), "middle": (0.0, -1.0), "ring": (0.22, -0.93), "little": (0.42, -0.83)}
    for finger, chain in FINGERS.items():
        joints[chain[0], :2] = bases[finger]
        fan = from_vector(np.array([0, 0, -0.9 if finger == "thumb" else bases[finger][0] * 0.3]))
        angle = 0.0
        for parent, joint, length in zip(chain[:-1], chain[1:], (0.45, 0.3, 0.25), strict=True):
            angle += flexion
            joints[joint] = joints[parent] + fan @ np.array([0, -np.cos(angle), np.sin(angle)]) * length
    return unit_hand(joints)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Uniformly distributed rotation (3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def moving_hand(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 21, 3) unit hands of many poses, turned by up to about 60°."""
    return np.stack([flexed_hand(rng.uniform(0, 1)) @ from_vector(rng.normal(0, 0.5, 3)).T for _ in range(count)])
