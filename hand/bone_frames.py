"""Rotations of a hand's bones from its joints alone: what an avatar, a robot hand or a headset's runtime is driven by.

A bone's axes: y along it, away from the wrist; z out of the back of the hand; x completes a right-handed system, so that turning
about +x extends a finger and turning about -x flexes it, of both hands. Joints do not tell how a bone turns about itself, anatomy
does: a finger's joints bend and spread and do not twist, so each bone's axes are its parent's, turned by the smallest rotation
that brings y to the bone. The thumb's metacarpal stands turned in the palm; its rest axes are those of `hand.model`.
"""

from typing import Literal

import numpy as np

from hand.joints import FINGERS, JOINTS, MIDDLE_MCP, PARENTS, WRIST
from hand.rotations import from_quaternion, to_quaternion

_MIRROR = np.diag([-1.0, 1.0, 1.0])
_INDEX_MCP, _LITTLE_MCP = FINGERS["index"][0], FINGERS["little"][0]


def palm_axes(joints: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
    """(3, 3) rotation R_x_from_palm of joints (21, 3) in any axes x: palm axes as columns, y from the wrist to the middle MCP.

    Not finite for joints that span no palm.
    """
    along = joints[MIDDLE_MCP] - joints[WRIST]
    across = joints[_LITTLE_MCP] - joints[_INDEX_MCP] if side == "right" else joints[_INDEX_MCP] - joints[_LITTLE_MCP]
    with np.errstate(divide="ignore", invalid="ignore"):
        y = along / np.linalg.norm(along)
        x = across - (across @ y) * y
        x = x / np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], 1)


def bone_axes(joints: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
    """(21, 3, 3) rotations R_x_from_bone of joints (21, 3) in any axes x: at each joint those of the bone that begins there.

    The wrist's are the palm's; a tip's are those of the bone that ends there.
    """
    axes = np.empty((JOINTS, 3, 3))
    axes[WRIST] = palm = palm_axes(joints, side)
    at_rest = _R_PALM_FROM_THUMB_AT_REST if side == "right" else _MIRROR @ _R_PALM_FROM_THUMB_AT_REST @ _MIRROR
    before = np.broadcast_to(palm, (len(_CHAINS), 3, 3)).copy()
    before[0] = palm @ at_rest
    for number in range(_CHAINS.shape[1] - 1):
        bones = joints[_CHAINS[:, number + 1]] - joints[_CHAINS[:, number]]
        before = axes[_CHAINS[:, number]] = _turned_to(before, bones)
    axes[_CHAINS[:, -1]] = before
    return axes


def _turned_to(axes: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """(N, 3, 3) axes turned by the smallest rotation that brings their y to `bones` (N, 3); a bone of no length turns none.

    The smallest rotation from a to b maps x to x − (x·s) s/(1 + a·b) + 2 (x·a) b, with s = a + b.
    """
    length = np.sqrt((bones * bones).sum(-1, keepdims=True))
    a = axes[:, :, 1]
    b = np.where(length > 0, bones / np.maximum(length, 1e-300), a)
    s = a + b
    # Folded back by half a turn about x, which no finger does: any axis would do.
    share = (a * b).sum(-1)
    folded = share < -1 + 1e-9
    xs = (axes * s[:, :, None]).sum(1) / np.where(folded, 1, 1 + share)[:, None]
    turned = axes - s[:, :, None] * xs[:, None, :] + 2 * b[:, :, None] * np.array([0.0, 1.0, 0.0])
    turned[folded] = axes[folded] * np.array([1.0, -1.0, -1.0])
    return turned


def joint_rotations(joints: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
    """(21, 4) unit quaternions (w, x, y, z), w ≥ 0, of joints (21, 3) in any axes x.

    The wrist's is R_x_from_palm, each other joint's R_parent_from_bone, the same however the hand is turned; a tip's is 1.
    Not finite for joints that span no palm.
    """
    axes = bone_axes(joints, side)
    relative = np.swapaxes(axes[_PARENTS], -1, -2) @ axes
    relative[WRIST] = axes[WRIST]
    return to_quaternion(relative)


_PARENTS = np.maximum(PARENTS, 0)
"""The wrist's is itself."""
_CHAINS = np.array(list(FINGERS.values()))
"""(5, 4) joints of each finger from its base; the thumb first."""
_R_PALM_FROM_THUMB_AT_REST = from_quaternion(
    to_quaternion(np.array([[-0.0638, -0.5486, -0.8336], [0.7634, 0.5112, -0.3949], [0.6428, -0.6616, 0.3862]]))
)
"""Axes of the thumb's metacarpal of the mean hand (`hand/assets/hand.safetensors`, bone 1) as columns."""
