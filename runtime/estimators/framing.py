"""How a network wants hands cut out: the box of a crop around the joints that it predicted, and how the box is rolled."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hand.joints import FINGER_MCPS, WRIST
from runtime.networks.weights import Manifest, network_class

BOX_MARGIN = 1.5
"""A box's side over the longer side of the joints' bounding box; networks of ours are trained on crops of this margin."""
_KNUCKLES = list(FINGER_MCPS)
_ABOVE_WRIST = {5: 0.25, 9: 0.5, 13: 0.25}
"""Knuckles of index, middle and ring finger, and their shares in the point that stands above the wrist in MediaPipe's crops."""
_PALM_JOINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
"""All but the far ends of fingers, which would make MediaPipe's crop jump as they bend."""
_PALM_SHIFT, _PALM_SCALE = -0.1, 2.0
"""From the palm to MediaPipe's crop: towards the fingers, in heights of the palm, and larger."""


@dataclass(frozen=True, slots=True)
class Framing:
    """Where the crop of a hand is, by joints (21, 2) in px of the frame."""

    upright: bool = False
    """Whether crops are rolled so that the fingers' knuckles stand above the wrist."""
    around: Literal["joints", "palm"] = "joints"
    """What lies in the middle: all joints, or the palm as in MediaPipe's crops."""

    @classmethod
    def of(cls, manifest: Manifest) -> "Framing":
        """That of the network. Raises UserError for an architecture that this version does not know."""
        return cls(manifest.upright, network_class(manifest.architecture).framed_around)

    def roll(self, pixels: np.ndarray, now_deg: float) -> float:
        """Of the next crop, degrees clockwise, where the present one has `now_deg`."""
        return self.standing(pixels) if self.upright else now_deg

    def standing(self, pixels: np.ndarray) -> float:
        """The roll of a crop in which the hand stands upright, degrees clockwise; all networks learn from such crops."""
        return roll_of(pixels) if self.around == "joints" else palm_roll(pixels)

    def box(self, pixels: np.ndarray, roll_deg: float) -> tuple[np.ndarray, float]:
        """Centre (2,) and side length, both in px, of the square turned clockwise by `roll_deg`."""
        return box_around(pixels, roll_deg) if self.around == "joints" else palm_box(pixels, roll_deg)


AROUND_JOINTS = Framing()
"""As it is in the frame, around all joints."""


def box_around(pixels: np.ndarray, roll_deg: float = 0.0) -> tuple[np.ndarray, float]:
    """Centre (2,) and side length, both in px, of the square, turned clockwise by `roll_deg`, that holds joints (21, 2)."""
    turn = _clockwise(roll_deg)
    in_box = pixels @ turn
    low, high = in_box.min(0), in_box.max(0)
    return turn @ (low + high) / 2, float(BOX_MARGIN * (high - low).max())


def roll_of(pixels: np.ndarray) -> float:
    """Degrees clockwise from up to the direction from the wrist to the middle of the fingers' knuckles; joints (21, 2) px."""
    x, y = (pixels[_KNUCKLES].sum(0) / len(_KNUCKLES) - pixels[WRIST]).tolist()
    return math.degrees(math.atan2(x, -y))


def palm_box(pixels: np.ndarray, roll_deg: float) -> tuple[np.ndarray, float]:
    """Centre (2,) and side length, both in px, of MediaPipe's square for joints (21, 2), turned clockwise by `roll_deg`.

    Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020), section 3.2; its published parameters.
    """
    turn = _clockwise(roll_deg)
    palm = pixels[_PALM_JOINTS] @ turn
    low, high = palm.min(0), palm.max(0)
    size = high - low
    return turn @ ((low + high) / 2 + [0.0, _PALM_SHIFT * size[1]]), float(_PALM_SCALE * size.max())


def palm_roll(pixels: np.ndarray) -> float:
    """Degrees clockwise from up to the direction in which the hand stands on its wrist, of joints (21, 2) px."""
    x, y = (sum(share * pixels[joint] for joint, share in _ABOVE_WRIST.items()) - pixels[WRIST]).tolist()
    return math.degrees(math.atan2(x, -y))


def _clockwise(degrees: float) -> np.ndarray:
    """(2, 2) from axes that are turned clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]])
