"""DetNet-lite: DetNet's maps from a trunk small enough to run and to adapt on a laptop's CPU.

Where DetNet reads its location maps at one cell, DetNet-lite takes their mean under the heat map's distribution (integral
regression, Sun et al. 2018). With a flat heat map that is plain regression, so that training starts at once; as the heat
sharpens, each joint is read where it is seen. A fourth kind of map predicts each joint's error.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.joints import JOINTS
from runtime.networks.network import Block, Decoded, MapNetwork, Maps, conv

CONFIDENCE_SCALE = 0.35
"""Expected joint error, in unit hands, at which the confidence is 1/e."""


class DetNetLite(MapNetwork):
    """S×S RGB to maps of S/8 × S/8; S divisible by 16, 64 for the weights that ship. About 0.15 GFLOP a view at 64."""

    stride = 8
    heat_sigma = 0.55
    predicts_error = True

    def __init__(
        self, root: int = 0, width: int = 48, deep: int = 224, fine_blocks: int = 1, middle_blocks: int = 2, deep_blocks: int = 2
    ):
        """`width` channels at a quarter of the crop's size, twice as many at an eighth, `deep` at a sixteenth; blocks at each."""
        super().__init__()
        self.root, self.width = root, width

        def blocks(channels: int, count: int) -> list[nn.Module]:
            return [Block(channels) for _ in range(count)]

        self.stem = nn.Sequential(conv(3, width // 3, 2), conv(width // 3, width, 2), *blocks(width, fine_blocks))
        self.middle = nn.Sequential(conv(width, 2 * width, 2), *blocks(2 * width, middle_blocks))
        self.deep = nn.Sequential(conv(2 * width, deep, 2), *blocks(deep, deep_blocks))
        self.lateral = nn.Conv2d(deep, 2 * width, 1)
        self.fuse = conv(2 * width, 2 * width, 1)
        self.head = nn.Conv2d(2 * width, JOINTS * (1 + 3 + 3 + 1), 1)
        # Maps start near zero: flat heat, the mean hand, an expected error of 1/e hands.
        nn.init.normal_(self.head.weight, std=1e-3)
        assert self.head.bias is not None
        self.head.bias.data = torch.cat([torch.zeros(7 * JOINTS), torch.full((JOINTS,), -1.0)])

    def forward(self, images: Tensor) -> Maps:
        """Maps of RGB images (N, 3, S, S) in [−0.5, 0.5]; each heat map is a distribution over the cells."""
        logits, delta, location, log_error = self.raw(images)
        heat = logits.flatten(2).softmax(-1).view_as(logits)
        return Maps(heat, delta, location, log_error)

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Heat logits (N, 21, M, M) and the delta, location and log-error maps."""
        return self.read(self.features(images)[1])

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Fine features (N, width, S/4, S/4), and those that the maps are read from (N, 2 · width, S/8, S/8)."""
        fine = self.stem(images)
        near = self.middle(fine)
        far = F.interpolate(self.lateral(self.deep(near)), scale_factor=2.0, mode="nearest")
        return fine, self.fuse(near + far)

    def read(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `raw`, from the second output of `features`."""
        return self.head(features).split([JOINTS, 3 * JOINTS, 3 * JOINTS, JOINTS], 1)

    def normalise_heat(self, heat: Tensor) -> Tensor:
        """The heat map of each joint as a distribution over the cells."""
        return heat / heat.sum((2, 3), keepdim=True).clamp_min(1e-6)

    def decode(self, maps: Maps, size: int) -> Decoded:
        """Means under the heat maps; confidence falls with the predicted error."""
        assert maps.log_error is not None, "DetNet-lite predicts its error"
        joints = read(maps.location, maps.heat)
        expected = read_scalar(maps.log_error, maps.heat).exp()
        return Decoded(joints, mean_pixels(maps.heat, size), torch.exp(-expected / CONFIDENCE_SCALE))


def read(maps: Tensor, heat: Tensor) -> Tensor:
    """Vectors (N, 21, 3): the mean of maps (N, 63, M, M) under heat (N, 21, M, M)."""
    return torch.einsum("njcp,njp->njc", maps.flatten(2).unflatten(1, (JOINTS, 3)), heat.flatten(2))


def read_scalar(maps: Tensor, heat: Tensor) -> Tensor:
    """Values (N, 21): the mean of maps (N, 21, M, M) under heat (N, 21, M, M)."""
    return (maps * heat).sum((2, 3))


def mean_pixels(heat: Tensor, size: int) -> Tensor:
    """Crop pixels (N, 21, 2): the mean position under heat (N, 21, M, M) (soft arg-max)."""
    cells = heat.shape[-1]
    centres = (torch.arange(cells, device=heat.device, dtype=heat.dtype) + 0.5) * (size / cells) - 0.5
    return torch.stack([(heat.sum(2) * centres).sum(-1), (heat.sum(3) * centres).sum(-1)], -1)
