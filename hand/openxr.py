"""OpenXR's and WebXR's hand from ours and back: 26 (25) poses in metres, with radii.

OpenXR 1.0, XR_EXT_hand_tracking, "Conventions of hand joints": at each joint the axes of the bone that begins there, −Z along the
bone to the tip, +Y out of the back of the hand, +X to the right of a hand seen from its back; the palm's joint is the middle of
the middle finger's metacarpal; the wrist's −Z points to the palm's centre. Space: x right, y up, z to the viewer, so a camera's y
and z change their signs. WebXR's hand is the same without the palm.

We have no joint where the fingers' metacarpals begin: it is put on the line from the wrist to the knuckle. All else is exact.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hand.bone_frames import bone_axes
from hand.joints import FINGERS, JOINTS, MIDDLE_MCP, WRIST
from hand.orders import OPENXR
from hand.rotations import between, to_quaternion

METACARPAL_BASE = 0.2
"""Where a finger's metacarpal begins, as a share of the way from the wrist to its knuckle."""
_SPACE_FROM_CAMERA = np.diag([1.0, -1.0, -1.0])
_BONE_FROM_XR = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""OpenXR's axes of a bone as columns in ours: its y is our z, its z the opposite of our y."""
_RADIUS = {
    WRIST: 0.25,
    **{joint: radius for chain in FINGERS.values() for joint, radius in zip(chain, (0.14, 0.11, 0.1, 0.08), strict=True)},
}
_PALM_RADIUS = 0.2
"""Hands; from the joint to the skin, roughly, of an average hand."""


@dataclass(frozen=True, slots=True)
class XrHand:
    """One hand as OpenXR has it, joints in the order of `hand.orders.OPENXR`."""

    position_m: np.ndarray
    """(26, 3)."""
    orientation: np.ndarray
    """(26, 4) unit quaternions (x, y, z, w), as OpenXR and three.js order them."""
    radius_m: np.ndarray
    """(26,)."""

    def joints_mm(self) -> np.ndarray:
        """(21, 3) our joints, axes of the camera that the hand came from."""
        return OPENXR.to_ours(self.position_m) @ _SPACE_FROM_CAMERA * 1000


def xr_hand(joints_mm: np.ndarray, side: Literal["left", "right"]) -> XrHand:
    """OpenXR's hand from joints (21, 3), mm, axes of a camera (x right, y down, z forward).

    Not finite where they span no palm.
    """
    axes = bone_axes(joints_mm, side)
    size = float(np.linalg.norm(joints_mm[MIDDLE_MCP] - joints_mm[WRIST]))
    position = OPENXR.from_ours(joints_mm)
    rotation = axes[np.maximum(OPENXR.ours, 0)]
    radius = np.array([_RADIUS.get(joint, _RADIUS[WRIST]) for joint in OPENXR.ours]) * size
    for number, name in enumerate(OPENXR.joints):
        if name.endswith("METACARPAL") and OPENXR.ours[number] < 0:
            knuckle = OPENXR.ours[number + 1]
            position[number] = joints_mm[WRIST] + METACARPAL_BASE * (joints_mm[knuckle] - joints_mm[WRIST])
            rotation[number] = between(axes[WRIST][:, 1], joints_mm[knuckle] - joints_mm[WRIST]) @ axes[WRIST]
    palm, middle = OPENXR.joints.index("PALM"), OPENXR.joints.index("MIDDLE_METACARPAL")
    position[palm] = (position[middle] + position[middle + 1]) / 2
    rotation[palm], radius[palm] = axes[WRIST], _PALM_RADIUS * size
    in_space = _SPACE_FROM_CAMERA @ rotation @ _BONE_FROM_XR
    w, xyz = np.split(to_quaternion(in_space), [1], axis=-1)
    assert len(joints_mm) == JOINTS
    return XrHand(position @ _SPACE_FROM_CAMERA / 1000, np.concatenate([xyz, w], -1), radius / 1000)
