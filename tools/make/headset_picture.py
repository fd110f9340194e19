"""Pictures of a headset's cameras: rendered hands under lamps before a blurred background, by a grey-scale sensor."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from hand.synth.backgrounds import Backgrounds
from hand.synth.light import Lights
from hand.synth.render import render
from tools.make.headset import Headset, HeldHand, Person

_RED, _GREEN, _BLUE = 0.55, 0.3, 0.15
"""Monochrome sensors are more sensitive to red than eyes are."""
_PLACE_SIDE = 240
"""Side of the pictures that places are made of, px: what is behind hands is out of focus."""
_MARGIN_PX = 2


@dataclass(frozen=True, slots=True)
class Room:
    """Lamps overhead and little other light: harder than training's lights, which come from all around."""

    towards: np.ndarray
    """(3, 3) unit directions to lamps, world axes."""
    strength: np.ndarray
    """(3,)."""
    above: float
    below: float

    @classmethod
    def random(cls, random: np.random.Generator) -> "Room":
        towards = np.array([0, -1.0, 0.1]) + random.normal(0, [0.5, 0.15, 0.5], (3, 3))
        strength = random.uniform(0.5, 1.1) * np.array([1.0, 0.4, 0.2])
        return cls(
            towards / np.linalg.norm(towards, axis=1, keepdims=True),
            strength,
            random.uniform(0.1, 0.25),
            random.uniform(0.03, 0.12),
        )

    def seen(self, R_camera_from_world: np.ndarray) -> Lights:
        """The room's lights in a camera's axes."""
        towards = torch.tensor(self.towards @ R_camera_from_world.T, dtype=torch.float32)
        up = torch.tensor(-R_camera_from_world[:, 1], dtype=torch.float32)
        colour = torch.tensor(self.strength, dtype=torch.float32)[:, None].expand(3, 3)
        return Lights(towards[None], colour[None], torch.full((1, 3), self.above), torch.full((1, 3), self.below), up[None])


@dataclass(frozen=True, slots=True)
class Painter:
    """Paints one person's pictures."""

    headset: Headset
    person: Person
    room: Room
    backgrounds: Backgrounds

    def paint(
        self, number: int, hands: list[HeldHand], R_camera_from_world: np.ndarray, generator: torch.Generator
    ) -> np.ndarray:  # fmt: skip
        """(H, W) uint8: camera `number`'s picture of the hands."""
        light = self._place(generator)
        lights = self.room.seen(R_camera_from_world)
        seen = [(hand, self.headset.in_camera(number, hand.skin_mm)) for hand in hands]
        # Nearer hands hide those behind them.
        for hand, skin_mm in sorted(seen, key=lambda one: -float(np.linalg.norm(one[1].mean(0)))):
            self._paint_hand(light, skin_mm, lights, mirrored=hand.side == "left")
        return _expose(light, generator)

    def _place(self, generator: torch.Generator) -> np.ndarray:
        """(H, W) linear light."""
        width, height = self.headset.camera.size_px
        crop = self.backgrounds.crops(1, _PLACE_SIDE, generator)[0].permute(1, 2, 0).numpy()
        scale = max(width, height) / _PLACE_SIDE
        grown = cv2.resize(_grey(crop), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:height, :width]
        return cv2.GaussianBlur(grown, (0, 0), 1.3 * scale).clip(0) * 0.6

    def _paint_hand(self, light: np.ndarray, skin_mm: np.ndarray, lights: Lights, *, mirrored: bool) -> None:
        """Paint one hand into the linear light (H, W): a left hand is rendered as a right one and mirrored."""
        if mirrored:
            light, skin_mm = light[:, ::-1], skin_mm * [-1, 1, 1]
            flip = torch.tensor([-1.0, 1, 1])
            lights = Lights(lights.direction * flip, lights.colour, lights.above, lights.below, lights.up * flip)
        width, height = self.headset.camera.size_px
        # The picture's middle is the principal point, so that the mirrored camera is the same.
        pixels = self.headset.camera.project(skin_mm)
        in_front = skin_mm[:, 2] > 0.1 * self.person.size_mm
        if not in_front.any():
            return
        low = np.clip(np.floor(pixels[in_front].min(0)).astype(int) - _MARGIN_PX, 0, (width, height))
        high = np.clip(np.ceil(pixels[in_front].max(0)).astype(int) + _MARGIN_PX, 0, (width, height))
        if (high <= low).any():
            return
        # The renderer's soft effects work on blocks of four pixels.
        across, down = (-(-np.maximum(high - low, 32) // 4) * 4).tolist()
        drawn = render(
            self.person.model,
            torch.tensor(skin_mm[None] / self.person.size_mm, dtype=torch.float32),
            torch.tensor((pixels - low)[None], dtype=torch.float32),
            (down, across),
            self.person.look,
            lights,
        )
        window = light[low[1] : low[1] + down, low[0] : low[0] + across]
        alpha = drawn.alpha[0, 0, : window.shape[0], : window.shape[1]].numpy()
        hand = _grey(drawn.light[0, :, : window.shape[0], : window.shape[1]].permute(1, 2, 0).numpy())
        window[:] = window * (1 - alpha) + hand * alpha


def _grey(light: np.ndarray) -> np.ndarray:
    """(H, W) of linear RGB (H, W, 3)."""
    return light @ np.array([_RED, _GREEN, _BLUE], np.float32)


def _expose(light: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """uint8 of linear light (H, W): a wide lens's fall-off, exposure, softness and noise."""
    height, width = light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width / 2) ** 2
    level, soft, noisy = torch.rand(3, generator=generator).tolist()
    light = light / (1 + 0.5 * radius) ** 2
    light = light * (0.04 + 0.08 * level) / max(float(light.mean()), 1e-3)
    light = cv2.GaussianBlur(light, (0, 0), (0.5 + 0.4 * soft) * width / 636)
    # A shoulder instead of a hard clip, as cameras have.
    image = np.where(light > 0.5, 0.5 + 0.5 * np.tanh((light - 0.5) / 0.5), light).clip(0) ** (1 / 2.2)
    noise = torch.randn(height, width, generator=generator).numpy() * (0.008 + 0.016 * noisy)
    return ((image + noise).clip(0, 1) * 255 + 0.5).astype(np.uint8)
