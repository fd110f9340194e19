"""A pool of drawn crops that a second process keeps renewing, for training on a CPU, and how a crop is used anew."""

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from hand.backgrounds import Backgrounds
from hand.draw import Drawer, DrawnCrops

CAPACITY = 24_000
"""Crops that the pool holds at most: what is drawn later takes the place of the oldest."""
_DRAWN_AT_ONCE = 16


BORDER = 8
"""Pixels around a pooled crop, so that it can be turned."""


def _draw_for_ever(
    size: int,
    shared: DrawnCrops,
    counts: torch.Tensor,
    bank: Path | None,
    seed: int,
    absent: float,
    mirrored: float,
    reuse: float,
    ended: Event,
) -> None:
    torch.set_num_threads(1)
    drawer = Drawer(size, Backgrounds.load(bank, "train"), seed, border=BORDER)
    parent = multiprocessing.parent_process()
    while not ended.is_set() and parent is not None and parent.is_alive():
        drawn, used = counts.tolist()
        if drawn > CAPACITY and used < drawn * (reuse - 1):
            time.sleep(0.02)
            continue
        crops = drawer.draw(_DRAWN_AT_ONCE, absent, mirrored)
        spot = (drawn + torch.arange(_DRAWN_AT_ONCE)) % CAPACITY
        for name in DrawnCrops.__slots__:
            getattr(shared, name)[spot] = getattr(crops, name)
        counts[0] += _DRAWN_AT_ONCE


class CropPool:
    """Random batches out of the latest drawn crops."""

    def __init__(self, size: int, bank: Path | None, seed: int, absent: float, mirrored: float, reuse: float):
        sample = Drawer(size, Backgrounds.load(None, "train"), seed, border=BORDER).draw(1)
        values = {name: getattr(sample, name) for name in DrawnCrops.__slots__}
        self._shared = DrawnCrops(**{name: v.new_empty(CAPACITY, *v.shape[1:]).share_memory_() for name, v in values.items()})
        self._counts = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._random = torch.Generator().manual_seed(seed)
        context = multiprocessing.get_context("spawn")
        self._ended = context.Event()
        arguments = (size, self._shared, self._counts, bank, seed, absent, mirrored, reuse, self._ended)
        self._process = context.Process(target=_draw_for_ever, args=arguments, daemon=True)
        self._process.start()

    @property
    def uses(self) -> float:
        """How often a drawn crop has been used on average."""
        drawn, used = self._counts.tolist()
        return used / max(1, drawn)

    def take(self, n: int) -> DrawnCrops:
        """`n` crops at random; waits for the first forty batches, at most 1000 crops.

        Raises RuntimeError if the drawing process died.
        """
        while (drawn := int(self._counts[0])) < min(40 * n, 1000):
            if not self._process.is_alive():
                raise RuntimeError("the drawing process died; its error is above")
            time.sleep(0.05)
        pick = torch.randint(min(drawn, CAPACITY), (n,), generator=self._random)
        self._counts[1] += n
        return DrawnCrops(**{name: getattr(self._shared, name)[pick] for name in DrawnCrops.__slots__})

    def close(self) -> None:
        self._ended.set()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def turned(drawn: DrawnCrops, size: int, generator: torch.Generator) -> DrawnCrops:
    """The same hands under a camera rolled about its axis and zoomed: exact for image, joints and pixels."""
    n, device = len(drawn.images), drawn.images.device
    angle = torch.rand(n, generator=generator, device=device) * 2 * torch.pi
    zoom = 0.9 + 0.25 * torch.rand(n, generator=generator, device=device)
    cos, sin = angle.cos(), angle.sin()
    roll = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    source = drawn.images.shape[1]
    theta = roll.transpose(1, 2) * (size / (source * zoom))[:, None, None]
    grid = F.affine_grid(torch.cat([theta, theta.new_zeros(n, 2, 1)], 2), [n, 3, size, size], align_corners=False)
    images = F.grid_sample(drawn.images.permute(0, 3, 1, 2).float(), grid, padding_mode="reflection", align_corners=False)
    images = images * _inside_frame(n, size, generator, device)
    gain = 0.85 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator, device=device)
    images = (images * gain).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    joints = torch.cat([drawn.joints[..., :2] @ roll.transpose(1, 2), drawn.joints[..., 2:]], -1)
    pixels = (drawn.pixels - (source - 1) / 2) @ roll.transpose(1, 2) * zoom[:, None, None] + (size - 1) / 2
    return DrawnCrops(
        images, joints, pixels, drawn.visible, drawn.family, drawn.facing, drawn.tone, drawn.present, drawn.mirrored
    )


def _inside_frame(n: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """(n, 1, size, size) 1 in the camera's frame, 0 beyond its edge, which cuts some crops: those are black there."""
    edge = torch.rand(n, 1, 1, 1, generator=generator, device=device) * 0.35 * size
    edge = torch.where(torch.rand(n, 1, 1, 1, generator=generator, device=device) < 0.12, edge, torch.zeros_like(edge))
    side = torch.randint(4, (n, 1, 1, 1), generator=generator, device=device)
    span = torch.arange(size, device=device)
    x, y = span[None, :].expand(size, size), span[:, None].expand(size, size)
    distance = torch.where(side == 0, x, torch.where(side == 1, size - 1 - x, torch.where(side == 2, y, size - 1 - y)))
    return (distance >= edge).float()
