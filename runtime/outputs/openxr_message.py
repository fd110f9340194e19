"""One hand as OpenXR and WebXR have it: 26 poses, metres, −Z along each bone, +Y up."""

import msgspec
import numpy as np

from hand.openxr import xr_hand
from hand.orders import OPENXR
from runtime.outputs.hand_message import HandMessage
from runtime.types import Side

VERSION = 1


class OpenXrMessage(msgspec.Struct, frozen=True, kw_only=True):
    """OpenXR's hand; space: x right, y up, z to the viewer, origin the left camera."""

    version: int = VERSION
    number: int
    """Sequence number of the hands, from 0."""
    side: Side
    placed: bool
    """Whether the hand's place is known; where not, its wrist is the origin."""
    captured_unix_ns: int | None
    names: tuple[str, ...] = OPENXR.joints
    """XrHandJointEXT's, in order."""
    position_m: list[list[float]]
    """(26, 3)."""
    orientation: list[list[float]]
    """(26, 4) unit quaternions x, y, z, w."""
    radius_m: list[float]
    """(26,)."""


def openxr_message(message: HandMessage) -> OpenXrMessage:
    """The hand of a message."""
    joints_mm = message.joints_mm
    placed = joints_mm is not None
    points = np.array(joints_mm if joints_mm is not None else message.fused.joints)
    hand = xr_hand(points if placed else points * message.hand_size_mm, message.side)
    return OpenXrMessage(
        number=message.number,
        side=message.side,
        placed=placed,
        captured_unix_ns=message.captured_unix_ns,
        position_m=np.round(hand.position_m, 6).tolist(),
        orientation=np.round(hand.orientation, 6).tolist(),
        radius_m=np.round(hand.radius_m, 5).tolist(),
    )
