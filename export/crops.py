"""Crops to calibrate int8 engines on: synthetic hands and, if given, recorded ones."""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from hand.errors import UserError

SYNTHETIC_SEED = 9_100_000
"""Used neither for training nor for validation."""
_BATCH = 24


def synthetic_crops(size: int, count: int, seed: int = SYNTHETIC_SEED) -> np.ndarray:
    """(count, size, size, 3) uint8: hands rendered as for training, in front of procedural images."""
    from hand.synth.backgrounds import Backgrounds
    from hand.synth.crops import CropRenderer

    renderer = CropRenderer(size, Backgrounds.load(None, "train"), seed)
    steps = tqdm(range(-(-count // _BATCH)), desc="rendering hands", unit=f"x{_BATCH}")
    return np.concatenate([renderer.render(_BATCH).images.numpy() for _ in steps])[:count]


def recorded_crops(path: Path, size: int) -> np.ndarray:
    """(N, size, size, 3) uint8 from an .npy file of crops (N, S, S, 3) uint8 RGB, or a folder of square pictures.

    Raises UserError for anything else.
    """
    crops = _from_folder(path) if path.is_dir() else _from_array(path)
    return np.stack([cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA) for crop in crops])


def _from_array(path: Path) -> list[np.ndarray]:
    try:
        crops = np.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} holds no crops ({error}): give a folder of pictures or an .npy file") from error
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] != 3 or not len(crops):
        raise UserError(f"{path} holds {crops.dtype} of shape {crops.shape}: expected crops (N, S, S, 3) uint8, RGB")
    return list(crops)


def _from_folder(path: Path) -> list[np.ndarray]:
    read = ((file, cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)) for file in sorted(path.iterdir()))
    crops = [crop for _, crop in read if crop is not None]
    if not crops:
        raise UserError(f"{path} holds no pictures: give a folder of crops of hands (.png, .jpg)")
    tall = next((crop.shape for crop in crops if crop.shape[0] != crop.shape[1]), None)
    if tall:
        raise UserError(f"{path} holds a picture of {tall[1]}×{tall[0]}: expected square crops of hands, as networks see them")
    return crops
