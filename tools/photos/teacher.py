"""What a teacher sees in a photograph of a labelled hand: joints in 3D, and whether the label is to be believed.

The teacher is MediaPipe's network with depth and doubt of our own. It looks twice: at the hand, and at its mirror image in a box
that is turned and larger. Where its looks and the label disagree in 2D, or about which hand it is, nobody should learn. Its depth
knows right hands alone, so that it is that of the first look.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hand.camera import PinholeCamera
from hand.joints import BONES, JOINTS, unit_hand
from runtime.engines.engine import Engine
from runtime.estimators.crop_prediction import MIN_PRESENCE, CropPrediction, CropRequest, mirrored, predict_crops
from runtime.estimators.framing import Framing
from runtime.networks.detnet_lite import CONFIDENCE_SCALE
from runtime.types import HandBox, Side

FOV_DEG = 30.0
"""Horizontal field of view assumed of a picture that was cut around one hand."""
SECOND_LOOK_DEG, SECOND_LOOK_SCALE = 8.0, 1.1
"""How the mirror image's box is turned against the first one's, and how much larger it is."""
MAX_PIXEL_ERROR = 0.06
"""Most that looks and label are apart in 2D on average, as a share of the longer side of the joints' box."""
MAX_OUTSIDE = 0.1
"""Farthest that a joint may be beyond the picture's edge, as a share of the same."""
BONE_LIMITS = (0.12, 1.35)
"""Shortest and longest bone of a hand whose wrist is 1 from its middle knuckle."""

Rejection = Literal["not all in the picture", "no hand", "other side", "joints elsewhere", "impossible bones"]
"""Why a label is not believed."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a photograph teaches."""

    side: Side
    pixels: np.ndarray
    """(21, 2) px of the picture: the label's."""
    joints: np.ndarray
    """(21, 3) unit hand in the axes of the picture's camera (`camera_of`)."""
    sigma: np.ndarray
    """(21,) expected distance of each joint from the truth, hands."""


def camera_of(image: np.ndarray) -> PinholeCamera:
    """The camera that is assumed to have taken a picture (H, W, 3) of one hand."""
    height, width = image.shape[:2]
    return PinholeCamera.from_fov(width, height, FOV_DEG)


def lesson_of(engine: Engine, image: np.ndarray, pixels: np.ndarray, side: Side) -> Lesson | Rejection:
    """What the hand with joints (21, 2) px in an image (H, W, 3) uint8 RGB teaches, or why it is not to teach."""
    height, width = image.shape[:2]
    room = MAX_OUTSIDE * np.ptp(pixels, 0).max()
    if (pixels < -room).any() or (pixels > np.array([width, height]) - 1 + room).any():
        return "not all in the picture"
    first, second = _looks(engine, image, pixels, side)
    if min(first.presence or 0.0, second.presence or 0.0) < MIN_PRESENCE:
        return "no hand"
    # The mirror image of a right hand is to look left.
    if min(first.same_side or 0.0, second.same_side or 0.0) < 0.5:
        return "other side"
    size = np.ptp(pixels, 0).max()
    apart = [np.linalg.norm(look.hand.pixels - pixels, axis=1).mean() / size for look in (first, second)]
    if not max(apart) <= MAX_PIXEL_ERROR:
        return "joints elsewhere"
    joints = unit_hand(first.hand.joints)
    if not has_possible_bones(joints):
        return "impossible bones"
    return Lesson(side, pixels, joints, -CONFIDENCE_SCALE * np.log(first.hand.confidence.clip(1e-6, 1.0)))


def has_possible_bones(joints: np.ndarray) -> bool:
    """Whether every bone of a unit hand (21, 3) is as long as one may be."""
    assert joints.shape == (JOINTS, 3)
    lengths = np.array([np.linalg.norm(joints[child] - joints[parent]) for parent, child in BONES])
    return bool((lengths >= BONE_LIMITS[0]).all() and (lengths <= BONE_LIMITS[1]).all())


def _looks(engine: Engine, image: np.ndarray, pixels: np.ndarray, side: Side) -> list[CropPrediction]:
    """The teacher's predictions of the hand and of its mirror image; both in the picture's own axes, `same_side` as of `side`."""
    framing, camera = Framing.of(engine.manifest), camera_of(image)
    roll_deg = framing.roll(pixels, 0.0)
    (x, y), size = framing.box(pixels, roll_deg)
    box = HandBox("left", side, (float(x), float(y)), float(size), 1.0, roll_deg, turned=True)
    turned = replace(mirrored(box), roll_deg=roll_deg + SECOND_LOOK_DEG, size_px=box.size_px * SECOND_LOOK_SCALE)
    first, second = predict_crops(engine, [CropRequest(one, camera, image) for one in (box, turned)])
    assert second.same_side is not None, "the teacher tells which hand it sees"
    return [first, replace(second, same_side=1 - second.same_side)]
