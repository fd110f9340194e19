"""Crops of labelled real hands: upright, as a network frames them, left hands mirrored to right ones; with jitter to train on."""

from dataclasses import dataclass

import numpy as np

from adapt.core.geometry_labels import ViewLabel
from hand.camera import PinholeCamera
from hand.synth.aim import ROLL_JITTER_DEG
from hand.synth.crops import rolled_share
from runtime.estimators.crop import CropCamera, HandCrop
from runtime.estimators.framing import Framing
from runtime.types import Side

_SHIFT, _MAX_SHIFT, _ZOOM = 0.07, 0.2, (0.82, 1.32)
"""How far boxes miss their hand, as in `hand.synth.aim`: standard deviation and maximum, shares of the side; range of sizes."""


def crop_camera(
    pixels: np.ndarray,
    side: Side,
    frame: PinholeCamera,
    size: int,
    framing: Framing,
    border: int = 0,
    jitter: np.random.Generator | None = None,
) -> CropCamera:
    """The camera of an upright crop of a hand's joints (21, 2) in a frame: a box of `size` px and `border` px more on each side.

    Without `jitter` the box is exactly the hand's.
    """
    roll_deg = framing.standing(pixels)
    if jitter is not None:
        upright = jitter.random() >= rolled_share(framing)
        roll_deg = roll_deg + ROLL_JITTER_DEG * jitter.normal() if upright else jitter.uniform(-180, 180)
    centre, side_px = framing.box(pixels, roll_deg)
    if jitter is not None:
        centre = centre + side_px * (_SHIFT * jitter.normal(size=2)).clip(-_MAX_SHIFT, _MAX_SHIFT)
        side_px *= jitter.uniform(*_ZOOM)
    whole = size + 2 * border
    return CropCamera.at(frame, centre, side_px * whole / size, whole, mirror=side == "left", roll_deg=roll_deg)


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """A crop of a real hand with its pseudo-label."""

    camera: CropCamera
    image: np.ndarray
    """(S, S, 3) uint8 RGB."""
    joints: np.ndarray
    """(21, 3) unit right hand in the crop camera's axes."""
    pixels: np.ndarray
    """(21, 2) in the crop."""
    weight: np.ndarray
    """(21,) of each joint in the loss, in [0, 1]."""

    @classmethod
    def of(cls, label: ViewLabel, crop: HandCrop) -> "LabelledCrop":
        """`crop` with its label."""
        joints, pixels = crop.camera.joints_in_crop(label.joints), crop.camera.crop_from_frame(label.pixels)
        return cls(crop.camera, crop.image, joints, pixels, label.weight)

    @classmethod
    def cut(
        cls,
        label: ViewLabel,
        image: np.ndarray,
        size: int,
        framing: Framing,
        border: int = 0,
        jitter: np.random.Generator | None = None,
    ) -> "LabelledCrop":
        """Cut the hand out of its frame (H, W, 3); `size` and all that follows as in `crop_camera`."""
        camera = crop_camera(label.pixels, label.side, label.camera, size, framing, border, jitter)
        return cls.of(label, HandCrop(label.view, label.side, camera, camera.cut(image)))
