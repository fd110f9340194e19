"""Batches of crop pairs: both views' crops of N hands, and the rotations between crop axes and camera axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from capture.views import PerView
from runtime.estimators.crop import HandCrop


@dataclass(frozen=True, slots=True)
class CropPairs:
    """N hands, each in a crop of either view; a batch."""

    images: PerView[Tensor]
    """(N, S, S, 3) uint8 RGB."""
    R_frame_from_crop: PerView[Tensor]
    """(N, 3, 3) proper rotations; the mirror is not in them."""
    mirror: Tensor
    """(N,) bool: left hands, which crops show as right ones."""
    inputs: PerView[Tensor] | None = None
    """(N, …) what the learning part of a network reads of the images, where that is computed once (`adapt.core.learner`)."""

    @classmethod
    def of(cls, pairs: Sequence[PerView[HandCrop]]) -> "CropPairs":
        """Both views' crops of each hand; the two views agree on which hand it is."""
        assert pairs and all(pair.left.camera.mirror == pair.right.camera.mirror for pair in pairs)
        images = PerView.of(lambda view: torch.from_numpy(np.stack([pair[view].image for pair in pairs])))
        rotations = PerView.of(lambda view: torch.from_numpy(np.stack([pair[view].camera.R_frame_from_crop for pair in pairs])))
        return cls(images, rotations, torch.tensor([pair.left.camera.mirror for pair in pairs]))

    def __len__(self) -> int:
        return len(self.mirror)

    def rows(self, rows: Tensor) -> "CropPairs":
        """Those numbered `rows` (M,)."""
        images, rotations = (part.map(lambda x: x[rows]) for part in (self.images, self.R_frame_from_crop))
        return CropPairs(images, rotations, self.mirror[rows], self.inputs and self.inputs.map(lambda x: x[rows]))

    def to(self, device: torch.device) -> "CropPairs":
        """The same, on `device`."""
        images, rotations = (part.map(lambda x: x.to(device)) for part in (self.images, self.R_frame_from_crop))
        return CropPairs(images, rotations, self.mirror.to(device), self.inputs and self.inputs.map(lambda x: x.to(device)))

    def frame_from_crop(self, axes: Literal["crop", "frame"]) -> PerView[Tensor]:
        """(N, 3, 3) from the axes of a network's predictions (`Manifest.axes`) to the cameras': orthogonal, mirror included."""
        ones = torch.ones_like(self.mirror, dtype=torch.float32)
        flip = torch.stack([torch.where(self.mirror, -ones, ones), ones, ones], -1)
        if axes == "frame":
            return self.R_frame_from_crop.map(lambda R: torch.diag_embed(flip).to(R))
        return self.R_frame_from_crop.map(lambda R: R * flip[:, None].to(R))
