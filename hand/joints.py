"""The 21 joints of a hand: their order, names, parents and fingers (SNAP order, which MediaPipe shares)."""

import numpy as np

JOINT_NAMES = (
    "wrist",
    *("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *("index_mcp", "index_pip", "index_dip", "index_tip"),
    *("middle_mcp", "middle_pip", "middle_dip", "middle_tip"),
    *("ring_mcp", "ring_pip", "ring_dip", "ring_tip"),
    *("little_mcp", "little_pip", "little_dip", "little_tip"),
)
JOINTS = len(JOINT_NAMES)
WRIST = 0
MIDDLE_MCP = 9
DEFAULT_HAND_SIZE_MM = 90.0
"""Wrist to middle knuckle (joints 0 → 9) of a hand whose size is not known; errors in mm are stated for a hand of this size."""
FINGER_MCPS = (5, 9, 13, 17)
"""The fingers' knuckles, the thumb's left out."""

FINGERS = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "little": (17, 18, 19, 20),
}
TIPS = tuple(chain[-1] for chain in FINGERS.values())

PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Parent joint of each joint; the wrist has none (-1)."""

BONES = tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0)
"""The 20 (parent, child) pairs, child in joint order."""


def unit_hand(joints: np.ndarray) -> np.ndarray:
    """Move the wrist to the origin and scale the wrist → middle MCP distance to 1.

    `joints`: (..., 21, 3) in any length unit. A hand whose wrist and middle MCP coincide has no scale: its result is
    not finite.
    """
    rooted = joints - joints[..., WRIST : WRIST + 1, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        knuckle = rooted[..., MIDDLE_MCP, :]
        return rooted / np.sqrt((knuckle * knuckle).sum(-1))[..., None, None]


def finger_extension(joints: np.ndarray) -> np.ndarray:
    """(5,) of each finger of a hand (21, 3) its ends' distance over its bones' length: 1 for a straight one."""
    chains = joints[np.array(list(FINGERS.values()))]
    bones = np.linalg.norm(np.diff(chains, axis=1), axis=-1).sum(1)
    return np.linalg.norm(chains[:, -1] - chains[:, 0], axis=-1) / np.maximum(bones, 1e-9)
