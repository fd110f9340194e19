"""What a hand network predicts, and the wrapper that holds normalisation and decoding: uint8 images in, joints out."""

from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.errors import UserError
from hand.joints import JOINTS, MIDDLE_MCP, WRIST


class Maps(NamedTuple):
    """A network's raw maps for N crops; M is the map size."""

    heat: Tensor
    """(N, 21, M, M) in [0, 1]."""
    delta: Tensor
    """(N, 63, M, M) unit bone vectors, channel 3 j + axis; the wrist's is zero."""
    location: Tensor
    """(N, 63, M, M) joint positions relative to the network's root, 0→9 length 1, channel 3 j + axis."""
    log_error: Tensor | None = None
    """(N, 21, M, M) logarithm of the expected joint error in unit hands, where the network predicts it (DetNet-lite)."""


class Decoded(NamedTuple):
    """Joints read from maps."""

    joints: Tensor
    """(N, 21, 3) relative to the network's own root, 0→9 length about 1, the network's axes."""
    pixels: Tensor
    """(N, 21, 2) in the crop; (0, 0) is the centre of the top left pixel."""
    confidence: Tensor
    """(N, 21) in [0, 1]."""


class Hands(NamedTuple):
    """Output of a hand network and of its exported graph."""

    joints: Tensor
    """(N, 21, 3) unit hands (wrist-rooted, 0→9 length 1), the network's axes."""
    pixels: Tensor
    """(N, 21, 2) in the crop."""
    confidence: Tensor
    """(N, 21) in [0, 1]."""
    heat: Tensor
    """(N, 21, M, M), for adaptation."""


class CropNetwork(nn.Module):
    """What a `HandNetwork` holds: a network from normalised images to a raw output, and how hands are read from that."""

    outputs: ClassVar[tuple[str, ...]]
    """Names of what `hands` gives: joints, pixels and confidence first."""
    predicts_error: ClassVar[bool]
    """Whether the confidence is a function of an expected joint error."""
    framed_around: ClassVar[Literal["joints", "palm"]] = "joints"
    """What is in the middle of its crops (`runtime.estimators.framing`)."""
    root: int
    """Joint that its joints are relative to."""

    def normalise(self, images: Tensor) -> Tensor:
        """Its input (N, 3, S, S) float32 from uint8 images (N, S, S, 3)."""
        return normalise(images)

    def copies(self) -> dict[str, str]:
        """Of what begins as a copy, name → name in the model that it stands on; weights hold the difference."""
        return {}

    def hands(self, raw: Any, size: int) -> Any:
        """A named tuple of tensors called `outputs`, from its raw output, which is one too; `size` is the crop's S in pixels."""
        raise NotImplementedError


class MapNetwork(CropNetwork):
    """What DetNet and DetNet-lite share: images (N, 3, S, S) in [−0.5, 0.5] to `Maps`, and how to read them."""

    outputs = ("joints", "pixels", "confidence", "heat")
    stride: ClassVar[int]
    """Crop pixels a cell of the maps."""
    heat_sigma: ClassVar[float]
    """Standard deviation, in cells, of the heat that a joint is trained to give."""

    def normalise_heat(self, heat: Tensor) -> Tensor:
        """Heat (N, 21, M, M) of any scale as this network's own maps are scaled: here, as it is."""
        return heat

    def decode(self, maps: Maps, size: int) -> Decoded:
        """Read the joints; `size` is the crop's S in pixels."""
        raise NotImplementedError

    def hands(self, raw: Maps, size: int) -> Hands:
        """Unit hands read from the maps, and the heat maps."""
        decoded = self.decode(raw, size)
        return Hands(unit(decoded.joints), decoded.pixels, decoded.confidence, raw.heat)


class HandNetwork(nn.Module):
    """A crop network with normalisation and decoding inside, so that no caller can get them wrong; exportable."""

    def __init__(self, network: CropNetwork, crop_size: int):
        super().__init__()
        self.network = network
        self.crop_size = crop_size

    def forward(self, images: Tensor) -> Any:
        """The network's hands in crops (N, S, S, 3) uint8 RGB: a named tuple, joints, pixels and confidence first."""
        return self.network.hands(self.network(self.network.normalise(images)), self.crop_size)


def map_network(network: HandNetwork) -> MapNetwork:
    """The map network inside. Raises UserError for one of another kind: it has no maps to learn by."""
    if not isinstance(network.network, MapNetwork):
        raise UserError(
            f"a {type(network.network).__name__} has no heat maps, which training and adaptation need: give weights of DetNet or "
            "DetNet-lite"
        )
    return network.network


Network = TypeVar("Network", bound=nn.Module)


def fuse_batch_norms(network: Network) -> Network:
    """The network with its batch-norms folded into the convolutions before them, for inference alone; changed in place."""
    network.eval()
    for module in list(network.modules()):
        for conv_name, norm_name in _conv_and_norm(module):
            first, second = getattr(module, conv_name), getattr(module, norm_name)
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(module, conv_name, nn.utils.fuse_conv_bn_eval(first, second))
                setattr(module, norm_name, nn.Identity())
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _conv_and_norm(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children that may be a convolution and its batch-norm: neighbours in a row, or `conv1` and `bn1`."""
    names = [name for name, _ in module.named_children()]
    if isinstance(module, nn.Sequential):
        return list(pairwise(names))
    return [(f"conv{name[2:]}", name) for name in names if name.startswith("bn") and f"conv{name[2:]}" in names]


def normalise(images: Tensor) -> Tensor:
    """Network input (N, 3, S, S) float32 in [−0.5, 0.5] from uint8 images (N, S, S, 3)."""
    return images.permute(0, 3, 1, 2).float() / 255 - 0.5


def unit(joints: Tensor) -> Tensor:
    """Unit hands from joints (N, 21, 3) of any root and scale; a collapsed hand stays finite."""
    rooted = joints - joints[:, WRIST : WRIST + 1]
    length = rooted[:, MIDDLE_MCP : MIDDLE_MCP + 1].norm(dim=-1, keepdim=True)
    return rooted / length.clamp_min(1e-6)


def peaks(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Index (N, 21) of each heat map's arg-max in its flattened map, and the maximum (N, 21)."""
    confidence, index = heat.flatten(2).max(-1)
    return index, confidence


def read_at(maps: Tensor, index: Tensor) -> Tensor:
    """Vectors (N, 21, 3) of maps (N, 63, M, M) at flattened positions `index` (N, 21)."""
    columns = maps.flatten(2).unflatten(1, (JOINTS, 3))
    return columns.gather(3, index[:, :, None, None].expand(-1, -1, 3, 1)).squeeze(3)


def peak_pixels(heat: Tensor, index: Tensor, size: int) -> Tensor:
    """Crop pixels (N, 21, 2) of heat-map peaks, finer than a cell.

    Each axis fits a parabola to the logarithm of three cells, which is exact for a Gaussian (Zhang et al. 2020,
    Distribution-Aware Coordinate Representation, without its smoothing).
    """
    map_size = heat.shape[-1]
    logs = heat.flatten(2).clamp_min(1e-6).log()
    row, column = index // map_size, index % map_size

    def at(r: Tensor, c: Tensor) -> Tensor:
        flat = r.clamp(0, map_size - 1) * map_size + c.clamp(0, map_size - 1)
        return logs.gather(2, flat.unsqueeze(2)).squeeze(2)

    def offset(before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
        curvature = (2 * middle - before - after).clamp_min(1e-6)
        return ((after - before) / (2 * curvature)).clamp(-0.5, 0.5)

    middle = at(row, column)
    x = column + offset(at(row, column - 1), middle, at(row, column + 1))
    y = row + offset(at(row - 1, column), middle, at(row + 1, column))
    return (torch.stack([x, y], -1) + 0.5) * (size / map_size) - 0.5


def conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3×3 convolution, batch-norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = conv(channels, channels, 1)
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), last)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))
