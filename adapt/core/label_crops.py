"""Crops of labelled real hands, cut as hands are drawn to learn from: about upright, about in the middle, all as right hands."""

from dataclasses import dataclass, replace

import numpy as np

from adapt.core.geometry_labels import ViewLabel
from hand.synth.aim import ROLL_JITTER_DEG
from hand.synth.draw import ANY_ROLL
from runtime.estimators.crop import CropCamera
from runtime.estimators.tracker import box_around, roll_of

_SHIFT, _MOST_SHIFT, _ZOOM = 0.07, 0.2, (0.82, 1.32)
"""How far boxes miss their hand, as in `hand.synth.aim`: standard deviation and maximum, shares of the side; range of sizes."""


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """A crop of a real hand, and what a teacher says of it."""

    camera: CropCamera
    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    joints: np.ndarray
    """(21, 3) unit right hand in the crop camera's axes."""
    pixels: np.ndarray
    """(21, 2) in the crop."""
    weight: np.ndarray
    """(21,) how much each joint teaches, in [0, 1]."""

    @classmethod
    def cut(
        cls, label: ViewLabel, image: np.ndarray, size: int, border: int = 0, jitter: np.random.Generator | None = None
    ) -> "LabelledCrop":
        """Cut the hand out of its frame (H, W, 3): a box of `size` px and `border` px more on each side.

        Without `jitter` the box is exactly the hand's.
        """
        roll_deg = roll_of(label.pixels)
        if jitter is not None:
            upright = jitter.random() >= ANY_ROLL
            roll_deg = roll_deg + ROLL_JITTER_DEG * jitter.normal() if upright else jitter.uniform(-180, 180)
        centre, side_px = box_around(label.pixels, roll_deg)
        if jitter is not None:
            centre = centre + side_px * (_SHIFT * jitter.normal(size=2)).clip(-_MOST_SHIFT, _MOST_SHIFT)
            side_px *= jitter.uniform(*_ZOOM)
        whole = size + 2 * border
        mirror = label.side == "left"
        camera = CropCamera.at(label.camera, centre, side_px * whole / size, whole, mirror=mirror, roll_deg=roll_deg)
        joints, pixels = camera.joints_in_crop(label.joints), camera.crop_from_frame(label.pixels)
        return cls(camera, camera.cut(image), joints, pixels, label.weight)

    def relabelled(self, label: ViewLabel) -> "LabelledCrop":
        """The same picture, of which a teacher that knows more now says something else."""
        joints, pixels = self.camera.joints_in_crop(label.joints), self.camera.crop_from_frame(label.pixels)
        return replace(self, joints=joints, pixels=pixels, weight=label.weight)
