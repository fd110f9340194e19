"""Distractors in synthetic scenes: desks, objects, heads and bare limbs, composited over one another."""

import torch

from hand.joints import JOINTS
from hand.synth.backgrounds import Backgrounds
from hand.synth.cutouts import CutOutBank


class Canvas:
    """N scenes under construction: later layers cover earlier ones, hands included."""

    def __init__(self, light: torch.Tensor, hands: int):
        """Start from linear `light` (N, 3, S, S), with `hands` hands per scene."""
        n, _, self.side, _ = light.shape
        self.light = light
        self.joints = light.new_zeros(n, hands, JOINTS, 2)
        """(N, hands, 21, 2) px."""
        self.visible = light.new_zeros(n, hands, JOINTS)
        """(N, hands, 21) visible share of each joint."""
        span = torch.arange(self.side, device=light.device, dtype=light.dtype)
        self.y, self.x = torch.meshgrid(span, span, indexing="ij")

    def __len__(self) -> int:
        return len(self.light)

    def paint(self, rows: torch.Tensor, colour: torch.Tensor, mask: torch.Tensor) -> None:
        """Composite `colour` (K, 3, S or 1, S or 1) over scenes `rows` (K,) with the opacity `mask` (K, 1, S, S)."""
        self.light[rows] = torch.lerp(self.light[rows], colour.expand(-1, -1, *mask.shape[2:]), mask)
        spot = self.joints[rows].round().long().clamp(0, self.side - 1)
        place = (spot[..., 1] * self.side + spot[..., 0]).flatten(1)
        self.visible[rows] *= 1 - mask.flatten(1).gather(1, place).view(len(rows), *self.visible.shape[1:])

    def add_hand(self, rows: torch.Tensor, slot: int, joints: torch.Tensor) -> None:
        """Record the joints (K, 21, 2) px of the hand that was painted last."""
        self.joints[rows, slot] = joints
        self.visible[rows, slot] = ((joints > -0.5) & (joints < self.side - 0.5)).all(-1).float()


class Props:
    """Random props, each painted on the scenes `rows` of a canvas."""

    def __init__(self, bank: CutOutBank, backgrounds: Backgrounds, generator: torch.Generator):
        self._bank, self._backgrounds, self._generator = bank, backgrounds, generator

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._bank.device)

    def desk(self, canvas: Canvas, rows: torch.Tensor) -> None:
        """A plain, softly lit plane."""
        angle = (torch.randn(len(rows), 1, 1, 1, generator=self._generator, device=self._bank.device)) * 0.5
        x, y = (v / canvas.side - self._uniform(len(rows), 1, 1, 1) for v in (canvas.x, canvas.y))
        height = y * angle.cos() - x * angle.sin()
        colour = self._plain(len(rows)) * (1 + (self._uniform(len(rows), 1, 1, 1) - 0.5) * 1.2 * height)
        grain = self._backgrounds.crops(len(rows), canvas.side, self._generator)
        colour = torch.lerp(colour, grain, 0.3 * self._uniform(len(rows), 1, 1, 1))
        canvas.paint(rows, colour, (height * canvas.side + 0.5).clamp(0, 1))

    def shapes(self, canvas: Canvas, rows: torch.Tensor, smallest: float, largest: float) -> None:
        """Boxes and ellipses: plain, striped or patterned like keys and print, textured with images, or of a skin colour."""
        k = len(rows)
        if not k:
            return
        x, y = (v - self._uniform(k, 1, 1, 1) * canvas.side for v in (canvas.x, canvas.y))
        angle = self._uniform(k, 1, 1, 1) * torch.pi
        along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
        long = canvas.side * smallest * (largest / smallest) ** self._uniform(k, 1, 1, 1)
        short = long * (0.15 + 0.85 * self._uniform(k, 1, 1, 1))
        power = torch.where(self._uniform(k, 1, 1, 1) < 0.4, 2.0, 10.0)
        inside = (along / long).abs() ** power + (across / short).abs() ** power
        pitch = 2 + 12 * self._uniform(k, 1, 1, 1)
        bars = torch.sin(along * 6.3 / pitch).clamp(-0.5, 0.5)
        cross = torch.sin(across * 6.3 / pitch).clamp(-0.5, 0.5)
        pattern = bars * torch.where(self._uniform(k, 1, 1, 1) < 0.5, cross, torch.full_like(cross, 0.4))
        strength = 2.5 * self._uniform(k, 1, 1, 1) * (self._uniform(k, 1, 1, 1) < 0.4)
        slope = (self._uniform(k, 1, 1, 1) - 0.5) * along / long
        brown = self._uniform(k, 1, 1, 1) < 0.25
        colour = torch.where(brown, self._skin(k), self._plain(k)) * (1 + strength * pattern + slope).clamp_min(0.05)
        pictured = (self._uniform(k) < 0.35).nonzero()[:, 0]
        if len(pictured):
            colour[pictured] = self._backgrounds.crops(len(pictured), canvas.side, self._generator)
        canvas.paint(rows, colour, ((1 - inside) * short / 2 + 0.5).clamp(0, 1))

    def head(self, canvas: Canvas, rows: torch.Tensor) -> None:
        """An oval of skin, its upper part hair, with dark eyes."""
        k = len(rows)
        if not k:
            return
        middle = self._uniform(2, k, 1, 1, 1) * canvas.side
        radius = canvas.side * 0.06 * (0.3 / 0.06) ** self._uniform(k, 1, 1, 1)
        lean = (self._uniform(k, 1, 1, 1) - 0.5) * 1.5
        dx, dy = (canvas.x - middle[0]) / radius, (canvas.y - middle[1]) / radius
        x, y = dx * lean.cos() + dy * lean.sin(), (dy * lean.cos() - dx * lean.sin()) * 0.75
        skin = self._skin(k) * (1.1 - 0.5 * (x + self._uniform(k, 1, 1, 1) - 0.5) ** 2)
        brow = -0.9 + 0.7 * self._uniform(k, 1, 1, 1)
        hair = self._plain(k) * 0.3
        colour = torch.lerp(skin, hair, ((brow - y + 0.3 * x**2) * 12).clamp(0, 1))
        eyes = torch.exp(-(((x.abs() - 0.38) / 0.16) ** 2) - ((y + 0.05) / 0.07) ** 2)
        mouth = torch.exp(-((x / 0.3) ** 2) - ((y - 0.55) / 0.06) ** 2)
        colour = colour * (1 - 0.7 * eyes - 0.4 * mouth)
        canvas.paint(rows, colour, ((1 - x**2 - y**2) * radius / 2 + 0.5).clamp(0, 1))

    def limb(self, canvas: Canvas, rows: torch.Tensor) -> None:
        """A bare arm or leg without a hand or foot."""
        k = len(rows)
        if not k:
            return
        start = self._uniform(k, 2) * canvas.side
        angle = self._uniform(k) * 2 * torch.pi
        direction = torch.stack([angle.cos(), angle.sin()], 1)
        radius = canvas.side * 0.02 * 6 ** self._uniform(k)
        length = radius * (3 + 12 * self._uniform(k))
        self.tube(canvas, rows, start, direction, length, radius, self._skin(k), 1.5 * self._uniform(k))

    def tube(
        self, canvas: Canvas, rows: torch.Tensor, start: torch.Tensor, direction: torch.Tensor, length: torch.Tensor,
        radius: torch.Tensor, colour: torch.Tensor, sleeve: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """An arm from `start` (K, 2) along `direction`, clothed beyond the share `sleeve` (K,) of its length.

        Returns the colour (K, 3, 1, 1) of the cloth.
        """
        k = len(rows)
        length, radius, sleeve = (v[:, None, None, None] for v in (length, radius, sleeve))
        x, y = (v - start[:, i, None, None, None] for i, v in enumerate((canvas.x, canvas.y)))
        dx, dy = direction[:, 0, None, None, None], direction[:, 1, None, None, None]
        share = ((x * dx + y * dy) / length).clamp(0, 1)
        off = torch.sqrt((x - share * length * dx) ** 2 + (y - share * length * dy) ** 2)
        clothed = ((share - sleeve) * 20).clamp(0, 1)
        radius = radius * (1 + (0.7 * self._uniform(k, 1, 1, 1) - 0.1) * share + 0.2 * clothed)
        across = (y * dx - x * dy) / radius
        shade = 1.1 - 0.6 * (across + 0.9 * (self._uniform(k, 1, 1, 1) - 0.5)) ** 2
        cloth = self._plain(k)
        canvas.paint(rows, torch.lerp(colour, cloth, clothed) * shade.clamp_min(0.2), (radius - off + 0.5).clamp(0, 1))
        return cloth

    def _plain(self, n: int) -> torch.Tensor:
        """(n, 3, 1, 1) colours of objects: mostly nearly grey, some of them saturated."""
        vivid = torch.where(self._uniform(n, 1) < 0.25, 1.0, 0.15)
        grey = self._uniform(n, 1)
        return (grey + (self._uniform(n, 3) - grey) * vivid).clamp_min(0.01).pow(2.2)[..., None, None]

    def _skin(self, k: int) -> torch.Tensor:
        """(k, 3, 1, 1) linear skin colours, of arms of the bank."""
        pick = (self._uniform(k) * len(self._bank)).long()
        return self._bank.arms.colour[pick, :, None, None]
