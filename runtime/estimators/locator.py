"""Where hands are in a whole frame: a small network of centre heat maps (Zhou et al. 2019, "Objects as points")."""

import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from capture.views import View
from hand.errors import UserError
from runtime.networks.network import Block, conv, fuse_batch_norms, normalise
from runtime.networks.weights import ASSETS, fill, load_tensors
from runtime.types import HandBox

ARCHITECTURE = "locator"
DEFAULT_WEIGHTS = ASSETS / "locator.safetensors"
STRIDE = 8
"""Input pixels a cell of the maps."""
DEEPEST_STRIDE = 32
"""Input pixels a cell where the network sees most around it; inputs are padded to whole ones."""
PAD_VALUE = 128
"""Grey that fills what a frame leaves of the input."""
MIN_SCORE = 0.3
"""Boxes that score less are not reported."""
SCALES = (1.0, 2 / 3)
"""The frame is searched once at each share of the input's size: what looks like a hand at one of them alone rarely is one."""
MIN_PEAK = 0.02
"""Peaks that score less at one size of the input are not compared with those at others."""
LEFT_THRESHOLD = 0.6
"""Probability from which a hand is called a left one: most hands that are shown to a camera alone are right ones."""
MAX_BOXES = 4
OVERLAP_SHARE = 0.4
"""A weaker box whose centre lies nearer to a stronger one's than this share of its size is the same hand."""
SAME_SIZE = 2.0
"""Boxes of one hand at two sizes of the input differ by no larger factor."""


class LocatorMaps(NamedTuple):
    """Maps of N images, H/8 × W/8 cells."""

    centre: Tensor
    """(N, 1, ·, ·) logit that a hand's box has its centre in the cell."""
    left: Tensor
    """(N, 1, ·, ·) logit that it is a left hand."""
    size: Tensor
    """(N, 1, ·, ·) logarithm of the box's side in cells."""
    offset: Tensor
    """(N, 2, ·, ·) from the cell's centre to the box's, x then y, in cells."""


class LocatorNetwork(nn.Module):
    """RGB images (N, 3, H, W), sides divisible by `DEEPEST_STRIDE`, in [−0.5, 0.5], to maps. About 0.2 GFLOP at 128×128."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.fine = nn.Sequential(
            conv(3, 16, 2), conv(16, width, 2), Block(width), conv(width, 2 * width, 2), *_blocks(2 * width)
        )
        self.middle = nn.Sequential(conv(2 * width, 4 * width, 2), *_blocks(4 * width))
        self.coarse = nn.Sequential(conv(4 * width, 5 * width, 2), *_blocks(5 * width))
        self.from_coarse = nn.Conv2d(5 * width, 4 * width, 1)
        self.from_middle = nn.Conv2d(4 * width, 2 * width, 1)
        self.fuse = conv(2 * width, 2 * width, 1)
        self.head = nn.Conv2d(2 * width, 5, 1)
        nn.init.normal_(self.head.weight, std=1e-2)
        # Almost no cell holds a hand; a box is about four cells wide.
        self.head.bias = nn.Parameter(torch.tensor([-3.5, 0.0, 1.4, 0.0, 0.0]))

    def forward(self, images: Tensor) -> LocatorMaps:
        return self.read(self.features(images))

    def read(self, features: Tensor) -> LocatorMaps:
        """Maps of what `features` gives."""
        return LocatorMaps(*self.head(features).split([1, 1, 1, 2], 1))

    def features(self, images: Tensor) -> Tensor:
        """(N, 2 · width, H/8, W/8) what the maps are read from."""
        fine = self.fine(images)
        middle = self.middle(fine)
        middle = F.relu(middle + F.interpolate(self.from_coarse(self.coarse(middle)), scale_factor=2.0, mode="nearest"))
        near = fine + F.interpolate(self.from_middle(middle), scale_factor=2.0, mode="nearest")
        return self.fuse(near)


class FoundHand(NamedTuple):
    """A hand in the network's input."""

    centre: tuple[float, float]
    """(x, y) px."""
    size: float
    """Side of its box in px."""
    left: bool
    score: float

    def scaled(self, factor: float) -> "FoundHand":
        """The same hand in an image that is `factor` times as large."""
        x, y = ((value + 0.5) * factor - 0.5 for value in self.centre)
        return self._replace(centre=(x, y), size=self.size * factor)


class Locator:
    """Finds hands in frames of any size."""

    def __init__(self, network: LocatorNetwork, longer_side: int, min_score: float = MIN_SCORE):
        """`longer_side`: pixels that the longer side of a frame is shrunk to."""
        self.network = network.eval()
        self._longer_side = longer_side
        self._min_score = min_score

    def __call__(self, image: np.ndarray, view: View) -> list[HandBox]:
        """Boxes in an image (H, W, 3) uint8 RGB, best first; empty where no hand is seen."""
        found: list[list[FoundHand]] = []
        shrunk, scale = image, 1.0
        for share in SCALES:
            # The smaller input is made from the larger one, which is quicker than from the frame.
            boxed, step = letter_box(shrunk, round(self._longer_side * share))
            scale *= step
            with torch.inference_mode():
                maps = self.network(normalise(torch.from_numpy(boxed)[None]).contiguous(memory_format=torch.channels_last))
            found.append([hand.scaled(1 / scale) for hand in find_peaks(maps, MIN_PEAK)[0]])
            shrunk = boxed[: round(image.shape[0] * scale), : round(image.shape[1] * scale)]
        hands = [hand for hand in suppress_overlaps(merge_searches(found)) if hand.score >= self._min_score]
        return [HandBox(view, "left" if hand.left else "right", hand.centre, hand.size, hand.score) for hand in hands]


def letter_box(image: np.ndarray, longer_side: int) -> tuple[np.ndarray, float]:
    """The image shrunk so that its longer side fits, grey added below and to the right; and the scale, input over frame."""
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = int(1 / scale)
    if whole > 1 and height % whole == width % whole == 0:
        # By a whole number first: several times as quick, and all that the usual frame sizes need.
        image = cv2.resize(image, (width // whole, height // whole), interpolation=cv2.INTER_AREA)
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    padded = np.full((_whole(size[1]), _whole(size[0]), 3), PAD_VALUE, np.uint8)
    padded[: size[1], : size[0]] = shrunk
    return padded, scale


def find_peaks(maps: LocatorMaps, min_score: float) -> list[list[FoundHand]]:
    """The hands in each image, best first: cells that no neighbour exceeds, without those that a better box covers."""
    score = maps.centre.sigmoid()
    peaks = score * (score == F.max_pool2d(score, 3, 1, 1))
    return [
        _boxes(image_peaks[0], LocatorMaps(*(values[number] for values in maps)), min_score)
        for number, image_peaks in enumerate(peaks)
    ]


def _boxes(peaks: Tensor, maps: LocatorMaps, min_score: float) -> list[FoundHand]:
    """Hands of one image: `peaks` (rows, columns), `maps` without the first axis."""
    found: list[FoundHand] = []
    scores, cells = peaks.flatten().topk(min(3 * MAX_BOXES, peaks.numel()))
    for score, cell in zip(scores.tolist(), cells.tolist(), strict=True):
        if score < min_score:
            break
        row, column = divmod(cell, peaks.shape[1])
        dx, dy = maps.offset[:, row, column].tolist()
        size = float(maps.size[0, row, column].clamp(-2, 5).exp()) * STRIDE
        left = maps.left[0, row, column].sigmoid().item() >= LEFT_THRESHOLD
        found.append(FoundHand(((column + 0.5 + dx) * STRIDE - 0.5, (row + 0.5 + dy) * STRIDE - 0.5), size, left, score))
    return suppress_overlaps(found)


def merge_searches(searches: list[list[FoundHand]]) -> list[FoundHand]:
    """Every hand of all `searches` of one frame, its place, size and score the means over those searches that found it.

    Where a search did not find it, its score there is zero.
    """
    hands: list[FoundHand] = []
    rest = sorted(((hand, number) for number, found in enumerate(searches) for hand in found), key=lambda pair: -pair[0].score)
    while rest:
        same: dict[int, FoundHand] = {}
        first, other = rest[0][0], []
        for hand, number in rest:
            if number not in same and _same(first, hand):
                same[number] = hand
            else:
                other.append((hand, number))
        rest = other
        total = sum(hand.score for hand in same.values())
        x, y, size = (
            sum(hand.score * value for hand, value in zip(same.values(), values, strict=True)) / total
            for values in zip(*((*hand.centre, math.log(hand.size)) for hand in same.values()), strict=True)
        )
        hands.append(FoundHand((x, y), math.exp(size), first.left, total / len(searches)))
    return hands


def _same(one: FoundHand, other: FoundHand) -> bool:
    large, small = max(one.size, other.size), min(one.size, other.size)
    return large < SAME_SIZE * small and math.dist(one.centre, other.centre) < OVERLAP_SHARE * large


def suppress_overlaps(hands: list[FoundHand]) -> list[FoundHand]:
    """The best few hands, best first, each hand once."""
    kept: list[FoundHand] = []
    for hand in sorted(hands, key=lambda hand: hand.score, reverse=True):
        if len(kept) < MAX_BOXES and all(math.dist(hand.centre, other.centre) > OVERLAP_SHARE * other.size for other in kept):
            kept.append(hand)
    return kept


def load_locator(path: Path = DEFAULT_WEIGHTS, min_score: float = MIN_SCORE) -> Locator:
    """The locator stored at `path`; boxes below `min_score` are not reported.

    Raises UserError where the file is missing, damaged or holds something else.
    """
    tensors, manifest = load_tensors(path)
    if manifest.architecture != ARCHITECTURE:
        raise UserError(f"{path} holds a {manifest.architecture!r}, expected a {ARCHITECTURE!r}: give a locator's weights")
    unknown = manifest.options.keys() - {"width"}
    if unknown:
        raise UserError(f"{path} asks for the option {min(unknown)!r}, which a locator does not have: update the program")
    network = LocatorNetwork(**manifest.options)
    fill(network, tensors, path)
    return Locator(fuse_batch_norms(network), manifest.crop_size, min_score)


def _whole(pixels: int) -> int:
    return -(-pixels // DEEPEST_STRIDE) * DEEPEST_STRIDE


def _blocks(channels: int) -> list[nn.Module]:
    return [Block(channels), Block(channels)]
