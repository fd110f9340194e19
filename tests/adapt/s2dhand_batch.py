"""What the published code made of one batch (`adaptation.npz`), in our words: columns turn, views are left and right."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.core.targets import TwoViewPredictions
from capture.views import PerView
from tests.paths import SHARED

FILE = SHARED / "vectors" / "adaptation.npz"
ROOTS = (0, 9)


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch and its results, float64."""

    arrays: dict[str, np.ndarray]

    @classmethod
    def load(cls) -> "Batch":
        """Skips the test where the vectors are not to be had."""
        if not FILE.is_file():
            pytest.skip("the reference vectors are not beside the repository")
        with np.load(FILE) as arrays:
            return cls(dict(arrays))

    def __getitem__(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def views(self, name: str) -> PerView[Tensor]:
        return PerView(self[f"{name}_1"], self[f"{name}_2"])

    @property
    def R(self) -> Tensor:
        """R_right_from_left."""
        return self["R_row"].mT

    @property
    def seen(self) -> TwoViewPredictions:
        return TwoViewPredictions(
            self.views("joints"), self.views("confidence"), self.views("valid").map(lambda valid: valid > 0)
        )

    @property
    def both(self) -> Tensor:
        """(6, 21) 1 for joints that both views see."""
        return self["valid_1"] * self["valid_2"]

    def rooted(self, root: int) -> PerView[Tensor]:
        """From the root joint, right hands with the left ones' 0→9 length."""
        joints = self.views("joints").map(lambda x: x - x[:, root : root + 1])
        left, right = joints.map(lambda x: (x[:, 9] - x[:, 0]).norm(dim=-1)[:, None, None])
        return PerView(joints.left, joints.right * left / right)
