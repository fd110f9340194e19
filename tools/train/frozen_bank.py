"""A bank of what MediaPipe's frozen layers make of hands, drawn ones and photographs: computed once, learnt from many times.

Each shard has its own seed and is always the same; those that are there already are kept, so that a run that was broken off
goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from adapt.core.augment import Augmenter
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.files import saving
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer
from hand.synth.turn import Turn
from runtime.estimators.crop import CropCamera
from runtime.networks.mediapipe_3d import MediaPipe3D
from runtime.networks.mediapipe_landmarks import INPUT_PX
from tools.predict import read_picture
from tools.train.labelled_photographs import LabelledPhotograph
from tools.train.looks import PALM, look

SHARD_CROPS = 512
"""A shard is of 11 MiB."""
LOOKS = 2
"""Crops of each hand, next to each other."""
_BORDER = 24
"""Rendered around a crop, px, for looks beyond it; what is farther out is black, as beyond a frame's edge."""
_RENDER_BATCH = 16
_RECOLOURED = 0.5
"""Share of crops whose light, colours, sharpness and noise are changed once more."""


@dataclass(frozen=True, slots=True)
class FrozenCrops:
    """N crops, those of one hand next to each other."""

    fixed: Tensor
    """(N, K) float16, `MediaPipe3D.fixed`."""
    joints: Tensor
    """(N, 21, 3) true unit hands in the crop's axes; NaN for photographs."""
    pixels: Tensor
    """(N, 21, 2) true pixels in the crop; NaN for photographs."""
    frame_from_crop: Tensor
    """(N, 3, 3) turns joints into axes that all looks at one hand share; of a mirrored crop it is no rotation."""

    @classmethod
    def joined(cls, parts: "Sequence[FrozenCrops]") -> "FrozenCrops":
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__slots__))

    def rows(self, rows: Tensor) -> "FrozenCrops":
        return FrozenCrops(*(getattr(self, name)[rows] for name in FrozenCrops.__slots__))

    def hands(self, hands: Tensor) -> "FrozenCrops":
        """All crops of the hands of these numbers (M,)."""
        return self.rows((LOOKS * hands[:, None] + torch.arange(LOOKS)).flatten())

    def to(self, device: torch.device) -> "FrozenCrops":
        return FrozenCrops(*(getattr(self, name).to(device) for name in FrozenCrops.__slots__))

    def __len__(self) -> int:
        return len(self.fixed)


class FrozenLayers:
    """MediaPipe's own layers, applied to pictures."""

    def __init__(self, network: MediaPipe3D, device: torch.device, batch: int):
        self.network, self.device, self.batch = network, device, batch

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """`FrozenCrops.fixed` of crops (N, S, S, 3) uint8."""
        parts = images.split(self.batch)
        return torch.cat([self.network.fixed(self.network.normalise(part.to(self.device))).half().cpu() for part in parts])


def drawn_shard(frozen: FrozenLayers, backgrounds: Backgrounds, seed: int, crops: int = SHARD_CROPS) -> FrozenCrops:
    """So many crops of half as many drawn hands, those of one hand next to each other."""
    renderer = CropRenderer(INPUT_PX, backgrounds, seed, frozen.device, border=_BORDER, framing=PALM)
    random, recolour = np.random.default_rng(seed), Augmenter(seed)
    parts: list[FrozenCrops] = []
    hands = -(-crops // LOOKS)
    for start in range(0, hands, _RENDER_BATCH):
        drawn = renderer.render(min(_RENDER_BATCH, hands - start))
        side = drawn.images.shape[1]
        images, joints, pixels, turns = [], [], [], []
        truth = zip(*(values.cpu().numpy() for values in (drawn.images, drawn.joints, drawn.pixels, drawn.focal)), strict=True)
        for image, true_joints, true_pixels, focal in truth:
            camera = PinholeCamera(float(focal), ((side - 1) / 2, (side - 1) / 2), (side, side))
            for _ in range(LOOKS):
                crop = look(true_pixels, camera, INPUT_PX, mirror=False, random=random)
                images.append(crop.cut(image))
                joints.append(crop.joints_in_crop(true_joints))
                pixels.append(crop.crop_from_frame(true_pixels))
                turns.append(frame_from_crop(crop))
        seen = _recoloured(torch.from_numpy(np.stack(images)), random, recolour)
        values = (torch.from_numpy(np.stack(each)).float() for each in (joints, pixels, turns))
        parts.append(FrozenCrops(frozen(seen), *values))
    return FrozenCrops.joined(parts).rows(torch.arange(crops))


def photograph_shard(frozen: FrozenLayers, photographs: Sequence[LabelledPhotograph], seed: int) -> FrozenCrops:
    """The crops of photographs. Raises UserError for one that cannot be read."""
    random, recolour = np.random.default_rng(seed), Augmenter(seed)
    images, turns = [], []
    for one in photographs:
        image = read_picture(one.file)
        camera = PinholeCamera.from_fov(image.shape[1], image.shape[0])
        for _ in range(LOOKS):
            crop = look(one.pixels, camera, INPUT_PX, mirror=not one.right, random=random)
            images.append(crop.cut(image))
            turns.append(frame_from_crop(crop))
    fixed = frozen(_recoloured(torch.from_numpy(np.stack(images)), random, recolour))
    unknown = torch.full((len(images), 21, 3), torch.nan)
    return FrozenCrops(fixed, unknown, unknown[..., :2], torch.from_numpy(np.stack(turns)).float())


def frame_from_crop(crop: CropCamera) -> np.ndarray:
    """(3, 3) of `FrozenCrops.frame_from_crop`: what `CropCamera.joints_in_frame` multiplies by."""
    return crop.joints_in_frame(np.eye(3)).T


def _recoloured(images: Tensor, random: np.random.Generator, recolour: Augmenter) -> Tensor:
    """Crops (N, S, S, 3) uint8, a share of them changed."""
    chosen = torch.from_numpy(random.random(len(images)) < _RECOLOURED)
    still = Turn(torch.eye(2).expand(len(images), 2, 2), torch.ones(len(images)))
    return torch.where(chosen[:, None, None, None], recolour(images, still), images)


def load_shards(files: Sequence[Path]) -> FrozenCrops:
    """Raises UserError for a file that is damaged or no shard."""
    parts = []
    for file in tqdm(files, desc="loading", unit="shard", leave=False):
        try:
            parts.append(FrozenCrops(**load_file(file)))
        except (SafetensorError, OSError, TypeError) as error:
            raise UserError(f"{file} is not a whole shard ({error}): delete it, and it is made again") from error
    return FrozenCrops.joined(parts)


def save_shard(crops: FrozenCrops, file: Path) -> None:
    """Raises UserError where it cannot be written."""
    with saving(file) as part:
        part.write_bytes(save({name: getattr(crops, name).contiguous() for name in FrozenCrops.__slots__}))
