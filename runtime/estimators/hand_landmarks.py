"""A hand's 21 joints in a square around it, by MediaPipe's landmark model, and the square of the next frame.

Sources: Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking" (2020), sections 2 and 3.2, and the model's published
parameters (MediaPipe's graphs of hand landmarks, Apache-2.0).
"""

import time
from dataclasses import dataclass

import numpy as np

from hand.joints import JOINTS
from runtime.estimators.framing import palm_box, palm_roll
from runtime.estimators.litert import Model
from runtime.estimators.square import Square

INPUT_PX = 224


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The model's prediction for one square."""

    square: Square
    pixels: np.ndarray
    """(21, 2) in the frame."""
    world: np.ndarray
    """(21, 3) metres, in axes whose x and y are the frame's, seen as if the square were in the middle of it."""
    presence: float
    """In [0, 1]: that the square shows a hand."""
    right: float
    """In [0, 1]: that it is a right hand."""
    cropped_ns: int | None = None
    """When the square was cut out; monotonic clock."""
    inferred_ns: int | None = None
    """When the model had run."""


class LandmarkModel:
    """Predicts joints in squares."""

    def __init__(self, model: Model):
        self._model = model

    def __call__(self, image: np.ndarray, square: Square) -> Landmarks:
        """The hand in `square` of an image (H, W, 3) uint8 RGB."""
        cut = square.cut(image, INPUT_PX)
        cropped_ns = time.monotonic_ns()
        screen, presence, side, world = self._model(cut)
        inferred_ns = time.monotonic_ns()
        cos, sin = np.cos(np.radians(square.roll_deg)), np.sin(np.radians(square.roll_deg))
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        pixels = square.to_frame(screen.reshape(JOINTS, 3)[:, :2].astype(float), INPUT_PX)
        # The package calls a high score "Left": it takes pictures for mirrored selfies.
        joints = world.reshape(JOINTS, 3).astype(float) @ turn.T
        return Landmarks(square, pixels, joints, float(presence[0, 0]), float(side[0, 0]), cropped_ns, inferred_ns)


def next_square(pixels: np.ndarray) -> Square:
    """The square for the next frame around the palm of joints (21, 2) px, upright on the wrist."""
    roll_deg = palm_roll(pixels)
    (x, y), size_px = palm_box(pixels, roll_deg)
    return Square((float(x), float(y)), size_px, roll_deg)
