"""Photographs as crops that networks learn from: framed as live crops are, left hands mirrored to right ones, in shards."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from adapt.core.geometry_labels import ViewLabel
from adapt.core.label_crops import LabelledCrop
from hand.camera import PinholeCamera
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import SyntheticCrops
from hand.synth.turn import BORDER
from runtime.estimators.framing import AROUND_JOINTS
from tools.label import shard_of
from tools.photos.cutouts import mask_of, pasted
from tools.photos.teacher import Lesson, camera_of
from tools.train.bank import SHARD, save_shard

_PAD = 0.5
"""What is added around a picture on each side, as a share of its longer side: crops of a hand are larger than such pictures."""
_REFLECTED = 0.75
"""Share of crops whose surroundings are the picture reflected; the rest is black there, as beyond a frame's edge."""


@dataclass(frozen=True, slots=True)
class TaughtPhotograph:
    """A photograph with what it teaches."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    lesson: Lesson
    looks: int
    """How many crops are cut out of it."""


class CropCutter:
    """Cuts crops of `size` px out of photographs; the same ones from the same seed."""

    def __init__(self, size: int, seed: int, backgrounds: Path | None = None):
        """`backgrounds` for hands that were cut out, as in `Backgrounds.load`."""
        self._size = size
        self._random = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._backgrounds = Backgrounds.load(backgrounds, "train")

    def __call__(self, taught: TaughtPhotograph) -> Iterator[LabelledCrop]:
        """Each look has a box of its own, and a cut-out hand a background of its own."""
        mask = mask_of(taught.image)
        for _ in range(taught.looks):
            reflected = mask is not None or self._random.random() < _REFLECTED
            image, offset = _padded(taught.image, cv2.BORDER_REFLECT_101 if reflected else cv2.BORDER_CONSTANT)
            if mask is not None:
                image = self._before_something(taught.image, mask, offset)
            yield LabelledCrop.cut(_label(taught, offset), image, self._size, AROUND_JOINTS, BORDER, self._random)

    def _before_something(self, image: np.ndarray, mask: np.ndarray, offset: int) -> np.ndarray:
        """The cut-out hand of a picture (H, W, 3), padded by `offset` px, before a random background."""
        padded = cv2.copyMakeBorder(image, offset, offset, offset, offset, cv2.BORDER_REPLICATE)
        # Nothing of the hand beyond the picture: fingers that touch its edge would grow into bars.
        wide_mask = cv2.copyMakeBorder(mask, offset, offset, offset, offset, cv2.BORDER_CONSTANT, value=(0,))
        height, width = padded.shape[:2]
        light = self._backgrounds.crops(1, max(height, width), self._generator)[0, :, :height, :width].clamp(0, 1)
        srgb = torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-6) ** (1 / 2.4) - 0.055)
        return pasted(padded, wide_mask, srgb.permute(1, 2, 0).numpy() * 255)


def _padded(image: np.ndarray, beyond: int) -> tuple[np.ndarray, int]:
    """The image with a border on each side, and how wide that is in px."""
    # A reflection is no wider than the picture.
    offset = min(round(_PAD * max(image.shape[:2])), min(image.shape[:2]) - 1)
    return cv2.copyMakeBorder(image, offset, offset, offset, offset, beyond), offset


def _label(taught: TaughtPhotograph, offset: int) -> ViewLabel:
    """What it teaches in the picture with a border of `offset` px; the camera is the same, its frame is larger."""
    lesson, camera = taught.lesson, camera_of(taught.image)
    (x, y), (width, height) = camera.centre_px, camera.size_px
    wider = PinholeCamera(camera.focal_px, (x + offset, y + offset), (width + 2 * offset, height + 2 * offset))
    sigma_px = np.zeros(len(lesson.pixels))
    return ViewLabel("left", lesson.side, wider, lesson.pixels + offset, sigma_px, lesson.joints, lesson.sigma)


def photograph_shard(crops: list[LabelledCrop]) -> SyntheticCrops:
    """The crops in the form of `tools.train`: pixels count fully, joints in 3D by how sure the teacher is of them."""
    shard = shard_of(crops)
    return replace(shard, weight=torch.ones_like(shard.weight), weight_3d=shard.weight)


def write_shards(photographs: Iterable[TaughtPhotograph], cut: CropCutter, folder: Path, random: np.random.Generator) -> int:
    """Fill a folder with shards of shuffled crops; how many crops there are."""
    crops = [crop for photograph in photographs for crop in cut(photograph)]
    order = random.permutation(len(crops))
    for number, start in enumerate(range(0, len(crops), SHARD)):
        shard = photograph_shard([crops[row] for row in order[start : start + SHARD]])
        save_shard(shard, folder / f"photographs-{number:03d}.safetensors")
    return len(crops)
