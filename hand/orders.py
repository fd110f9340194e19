"""Other systems' orders of a hand's joints, and how to convert to and from ours (`hand.joints`), each with its source.

An `Order` names its joints in its own order and says which of our 21 each is; -1 for a joint that we do not have. Systems that
have poses rather than points are converted in modules of their own (`hand.openxr`).
"""

from dataclasses import dataclass

import numpy as np

from hand.joints import FINGERS, JOINTS

_FINGERS = tuple(FINGERS)
"""thumb, index, middle, ring, little."""


@dataclass(frozen=True, slots=True)
class Order:
    """One system's order of joints."""

    name: str
    joints: tuple[str, ...]
    """Their names there."""
    ours: tuple[int, ...]
    """Our number of each; -1 for a joint that we do not have."""
    source: str

    def __post_init__(self) -> None:
        assert len(self.joints) == len(self.ours)

    def from_ours(self, joints: np.ndarray, missing: float = np.nan) -> np.ndarray:
        """(..., J, C) values in this order from ours (..., 21, C); `missing` for those that we do not have."""
        known = np.array(self.ours)
        return np.where((known >= 0)[:, None], joints[..., known, :], missing)

    def to_ours(self, joints: np.ndarray, missing: float = np.nan) -> np.ndarray:
        """(..., 21, C) values in our order from this one's (..., J, C); `missing` for those that it does not have."""
        theirs = np.full(JOINTS, -1)
        for number, ours in enumerate(self.ours):
            if ours >= 0:
                theirs[ours] = number
        return np.where((theirs >= 0)[:, None], joints[..., theirs, :], missing)


def _chains(bases: dict[str, int], *, from_tip: bool = False, joints: int = 4) -> tuple[int, ...]:
    """Our numbers of each finger's joints, fingers in the order of `bases`, which says how many joints to leave out first."""
    chains = [FINGERS[finger][skip : skip + joints] for finger, skip in bases.items()]
    return tuple(joint for chain in chains for joint in (chain[::-1] if from_tip else chain))


_ALL = dict.fromkeys(_FINGERS, 0)

MEDIAPIPE = Order(
    "mediapipe",
    (
        "WRIST",
        *("THUMB_CMC", "THUMB_MCP", "THUMB_IP", "THUMB_TIP"),
        *(
            f"{finger}_{joint}"
            for finger in ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
            for joint in ("MCP", "PIP", "DIP", "TIP")
        ),
    ),
    tuple(range(JOINTS)),
    "MediaPipe, HandLandmark: ours is the same",
)
ASSEMBLYHANDS = Order(
    "assemblyhands",
    (*(f"{finger}{number}" for finger in ("thumb", "index", "middle", "ring", "pinky") for number in (4, 3, 2, 1)), "wrist"),
    (*_chains(_ALL, from_tip=True), 0),
    "AssemblyHands and InterHand2.6M, skeleton.txt: right then left hand, each finger from its tip to its base, the wrist last",
)
MANO = Order(
    "mano",
    (
        "wrist",
        *(f"{finger}{number}" for finger in ("index", "middle", "pinky", "ring", "thumb") for number in (1, 2, 3)),
        *("thumb", "index", "middle", "ring", "pinky"),
    ),
    (
        0,
        *_chains({"index": 0, "middle": 0, "little": 0, "ring": 0, "thumb": 0}, joints=3),
        *(FINGERS[finger][-1] for finger in _FINGERS),
    ),
    "smplx, joint_names.py: MANO's 16 joints, and the five tips that its vertices give, in SMPL-X's order",
)
UMETRACK = Order(
    "umetrack",
    (
        *(
            "THUMB_FINGERTIP",
            "INDEX_FINGER_FINGERTIP",
            "MIDDLE_FINGER_FINGERTIP",
            "RING_FINGER_FINGERTIP",
            "PINKY_FINGER_FINGERTIP",
        ),
        "WRIST_JOINT",
        *("THUMB_INTERMEDIATE_FRAME", "THUMB_DISTAL_FRAME"),
        *(
            f"{finger}_{joint}_FRAME"
            for finger in ("INDEX", "MIDDLE", "RING", "PINKY")
            for joint in ("PROXIMAL", "INTERMEDIATE", "DISTAL")
        ),
        "PALM_CENTER",
    ),
    (
        *(FINGERS[finger][-1] for finger in _FINGERS),
        0,
        *FINGERS["thumb"][1:3],
        *_chains(dict.fromkeys(_FINGERS[1:], 0), joints=3),
        -1,
    ),
    "hand_tracking_toolkit (UmeTrack, HOT3D), LANDMARK: 21 with the palm's centre, without the thumb's CMC",
)
WEBXR = Order(
    "webxr",
    (
        "wrist",
        *("thumb-metacarpal", "thumb-phalanx-proximal", "thumb-phalanx-distal", "thumb-tip"),
        *(
            f"{finger}-finger-{joint}"
            for finger in ("index", "middle", "ring", "pinky")
            for joint in ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
        ),
    ),
    (0, *FINGERS["thumb"], *(joint for finger in _FINGERS[1:] for joint in (-1, *FINGERS[finger]))),
    "WebXR Hand Input Module, XRHandJoint: 25, each named after the bone that begins there",
)
OPENXR = Order(
    "openxr",
    (
        *("PALM", "WRIST"),
        *("THUMB_METACARPAL", "THUMB_PROXIMAL", "THUMB_DISTAL", "THUMB_TIP"),
        *(
            f"{finger}_{joint}"
            for finger in ("INDEX", "MIDDLE", "RING", "LITTLE")
            for joint in ("METACARPAL", "PROXIMAL", "INTERMEDIATE", "DISTAL", "TIP")
        ),
    ),
    (-1, *WEBXR.ours),
    "OpenXR 1.0, XR_EXT_hand_tracking, XrHandJointEXT: 26",
)
LEAP = Order(
    "leap",
    (
        "wrist",
        *(
            f"{finger}_{joint}"
            for finger in ("thumb", "index", "middle", "ring", "pinky")
            for joint in ("metacarpal", "proximal", "intermediate", "distal", "tip")
        ),
    ),
    (0, FINGERS["thumb"][0], *FINGERS["thumb"], *WEBXR.ours[5:]),
    "Ultraleap LeapC, LEAP_DIGIT: of each digit where its four bones begin, and the tip; the thumb's metacarpal has no length",
)

ORDERS = {order.name: order for order in (MEDIAPIPE, ASSEMBLYHANDS, MANO, UMETRACK, WEBXR, OPENXR, LEAP)}
