"""A pool of synthetic scenes that is renewed as it is used, to train the locator on."""

import numpy as np
import torch
from torch.nn import functional as F

from hand.synth.scenes import SceneRenderer, Scenes
from runtime.estimators.locator import DEEPEST_STRIDE, PAD_VALUE

RENDER_BATCH = 64
FIRST_SCENES = 768
"""Scenes rendered before the first batch."""
RENEW_HANDS = 16
"""Hands rendered anew for every `RENEW_SCENES` scenes."""
RENEW_PEOPLE = 8
"""People rendered anew for as many."""
RENEW_SCENES = 1024


def join(parts: list[Scenes]) -> Scenes:
    return Scenes(*(torch.cat([getattr(part, name) for part in parts]) for name in Scenes.__slots__))


class ScenePool:
    """Random batches from the latest scenes; new ones are rendered so that each is used about `reuse` times."""

    def __init__(self, renderer: SceneRenderer, capacity: int, reuse: float):
        self._renderer, self._capacity, self._reuse = renderer, capacity, reuse
        first = min(FIRST_SCENES, capacity)
        self._scenes = join([renderer.render(RENDER_BATCH) for _ in range(max(1, first // RENDER_BATCH))])
        self._drawn = self._used = 0

    def take(self, n: int) -> Scenes:
        generator, device = self._renderer.generator, self._scenes.images.device
        while self._drawn * self._reuse <= self._used:
            fresh = self._renderer.render(RENDER_BATCH)
            if len(self._scenes.images) < self._capacity:
                self._scenes = join([self._scenes, fresh])
            else:
                spot = (self._drawn + torch.arange(RENDER_BATCH, device=device)) % len(self._scenes.images)
                for name in Scenes.__slots__:
                    getattr(self._scenes, name)[spot] = getattr(fresh, name)
            self._drawn += RENDER_BATCH
            if self._drawn % RENEW_SCENES == 0:
                self._renderer.bank.renew(RENEW_HANDS)
                if self._renderer.people:
                    self._renderer.people.renew(RENEW_PEOPLE)
        self._used += n
        pick = torch.randint(len(self._scenes.images), (n,), generator=generator, device=device)
        return Scenes(*(getattr(self._scenes, name)[pick] for name in Scenes.__slots__))


def varied(scenes: Scenes, random: np.random.Generator) -> Scenes:
    """The same scenes mirrored (which swaps left and right hands), rotated by right angles, or cut to a wide frame's shape."""
    images, left = scenes.images, scenes.left
    points = torch.cat([scenes.centres[:, :, None], scenes.joints], 2)
    size = images.shape[1]
    if random.random() < 0.5:
        images, left = images.flip(2), ~left
        points = torch.stack([size - 1 - points[..., 0], points[..., 1]], -1)
    for _ in range(int(random.choice(4, p=[0.55, 0.15, 0.15, 0.15]))):
        # A quarter turn takes (x, y) to (y, size − 1 − x).
        images = images.rot90(1, (1, 2))
        points = torch.stack([points[..., 1], size - 1 - points[..., 0]], -1)
    shown = scenes.shown
    height = int(random.choice([size, size * 3 // 4, size * 9 // 16], p=[0.5, 0.3, 0.2]))
    if height < size:
        top = int(random.integers(size - height + 1))
        points = points - points.new_tensor([0.0, top])
        shown = shown & (points[:, :, 0, 1] > 0) & (points[:, :, 0, 1] < height - 1)
        rest = -height % DEEPEST_STRIDE
        images = F.pad(images[:, top : top + height].permute(0, 3, 1, 2), (0, 0, 0, rest), value=PAD_VALUE).permute(0, 2, 3, 1)
    unsure = scenes.unsure | (scenes.shown & ~shown)
    return Scenes(images, points[:, :, 0], points[:, :, 1:], scenes.sizes, left, shown, unsure)
