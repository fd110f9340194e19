"""A hand that moves before two cameras, for tests of estimators and the pipeline.

The frames hold coordinates in place of a picture: red and green encode the pixel's position, blue the view. So the camera of a
crop can be computed from its pixels.
"""

import numpy as np

from capture.frames import Frame, FramePair
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.joints import unit_hand
from hand.rotations import from_vector
from runtime.types import Side
from tests.runtime.hands import flexed_hand

CAMERAS = PerView(PinholeCamera.from_fov(640, 480, 65), PinholeCamera.from_fov(320, 240, 80))
SIZES_PX = CAMERAS.map(lambda camera: camera.size_px)
R_RIGHT_FROM_LEFT = from_vector(np.array([0.1, -1.2, 0.2]))
FRAME_NS = 33_000_000
BLUE = PerView(100, 200)


def coordinates(view: View) -> np.ndarray:
    """A frame whose red and green grow with x and y (dithered, so that they hold more than eight bits on average)."""
    width, height = CAMERAS[view].size_px
    y, x = np.mgrid[:height, :width]
    levels = np.stack([x * 255 / width, y * 255 / height], -1)
    image = np.full((height, width, 3), BLUE[view], np.uint8)
    image[..., :2] = np.floor(levels + np.random.default_rng(0).uniform(0, 1, levels.shape))
    image.flags.writeable = False
    return image


IMAGES = PerView.of(coordinates)


class Scene:
    """One hand, as it is in the frame pair `seq`."""

    def __init__(self, side: Side = "right"):
        self.side: Side = side
        self.seq = 0
        self.hidden: set[View] = set()
        """Views in which the hand is not visible."""
        self.roll = 0.0
        """By how much the hand is turned about the left camera's axis, radians."""

    def joints(self, view: View) -> np.ndarray:
        """(21, 3) joints in the view's axes, metres; the hand moves, turns and bends."""
        hand = flexed_hand(0.5 + 0.4 * np.sin(self.seq / 7)) * 0.09
        hand = hand * np.array([-1, 1, 1]) if self.side == "left" else hand
        hand = hand @ from_vector(np.array([0.3 * np.sin(self.seq / 5), 0.3 * np.cos(self.seq / 6), 0.2])).T
        hand = hand @ from_vector(np.array([0.0, 0.0, self.roll])).T
        path = np.array([0.06 * np.sin(self.seq / 9), 0.05 * np.cos(self.seq / 8), 0])
        if view == "left":
            return hand + path + np.array([0.05, 0.04, 0.5])
        return (hand + path) @ R_RIGHT_FROM_LEFT.T + np.array([-0.03, 0.02, 0.45])

    def truth(self, view: View = "left") -> np.ndarray:
        return unit_hand(self.joints(view))

    def pixels(self, view: View) -> np.ndarray:
        return CAMERAS[view].project(self.joints(view))

    def pair(self) -> FramePair:
        time_ns = self.seq * FRAME_NS
        return FramePair(*(Frame(view, self.seq, time_ns, time_ns + 1_000_000, image) for view, image in IMAGES.items()))
