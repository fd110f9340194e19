"""Where a network that is learning looks at a hand: in boxes that are off the hand's by as much as the program's own are."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hand.camera import PinholeCamera
from runtime.estimators.crop import CropCamera
from runtime.estimators.framing import Framing

PALM = Framing(upright=True, around="palm")
"""How MediaPipe's networks want hands cut out."""
BoxKind = Literal["tracked", "found"]


@dataclass(frozen=True, slots=True)
class BoxError:
    """How far boxes are off; standard deviations."""

    shift: float
    """Along either axis, as a share of the side."""
    log_size: float
    roll_deg: float


BOX_ERRORS: dict[BoxKind, BoxError] = {"tracked": BoxError(0.035, 0.05, 8.0), "found": BoxError(0.07, 0.14, 14.0)}
"""Of a hand followed from the frame before, and of one that the palm detector just found."""
FOUND_SHARE = 0.3


def look(pixels: np.ndarray, camera: PinholeCamera, size: int, *, mirror: bool, random: np.random.Generator) -> CropCamera:
    """A camera for a crop of `size` px of the hand with joints (21, 2) in a picture; `mirror` for left hands."""
    error = BOX_ERRORS["found" if random.random() < FOUND_SHARE else "tracked"]
    roll_deg = PALM.standing(pixels) + error.roll_deg * random.normal()
    centre, side_px = PALM.box(pixels, roll_deg)
    centre = centre + side_px * error.shift * random.normal(size=2).clip(-2.5, 2.5)
    side_px = side_px * np.exp(error.log_size * random.normal())
    return CropCamera.at(camera, centre, float(side_px), size, mirror=mirror, roll_deg=roll_deg)
