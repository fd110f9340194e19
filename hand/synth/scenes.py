"""Synthetic frames for the locator: up to three hands with arms among furniture, people and objects, with their boxes."""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from hand.synth.aim import BOX_MARGIN
from hand.synth.backgrounds import Backgrounds
from hand.synth.cutouts import LEVELS, PEOPLE_SIZE, SIZE, ArmEnds, CutOutBank, PeopleBank
from hand.synth.photo import Camera
from hand.synth.placement import Placement, resample, turn_of
from hand.synth.props import Canvas, Props
from hand.synth.render import box_blur

HANDS = 3
"""Most hands in a scene."""
SMALLEST, LARGEST = 0.18, 0.85
"""Sides of boxes, as a share of the frame's."""
SHOWN, UNSURE = 0.75, 0.12
"""Share of visible joints from which a hand must be found, and up to which finding one is an error."""


@dataclass(frozen=True, slots=True)
class Scenes:
    """N images of up to `HANDS` hands each."""

    images: torch.Tensor
    """(N, S, S, 3) uint8 sRGB."""
    centres: torch.Tensor
    """(N, HANDS, 2) px, of the boxes around all joints, occluded ones included."""
    joints: torch.Tensor
    """(N, HANDS, 21, 2) px."""
    sizes: torch.Tensor
    """(N, HANDS) px, sides of the boxes, with their margin."""
    left: torch.Tensor
    """(N, HANDS) bool: a left hand."""
    shown: torch.Tensor
    """(N, HANDS) bool: a hand that must be found."""
    unsure: torch.Tensor
    """(N, HANDS) bool: so little of a hand that neither finding nor missing it is an error."""


class SceneRenderer:
    """Renders batches of scenes; deterministic by seed on one kind of device."""

    def __init__(
        self, size: int, bank: CutOutBank, backgrounds: Backgrounds, seed: int,
        people: PeopleBank | None = None, people_share: float = 0.55,
    ):  # fmt: skip
        """Scenes of `size` px, divisible by 16; with `people`, a share `people_share` shows one of them, with
        their own hands.
        """
        self.size, self.bank, self.backgrounds, self.people = size, bank, backgrounds, people
        self._people_share = people_share if people else 0.0
        self.generator = torch.Generator(device=bank.device).manual_seed(seed)
        self._props = Props(bank, backgrounds, self.generator)
        self._camera = Camera(self.generator, bank.device)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.bank.device)

    def _some(self, n: int, share: float) -> torch.Tensor:
        """Indices of about `share` of `n` scenes."""
        return (self._uniform(n) < share).nonzero()[:, 0]

    @torch.no_grad()
    def render(self, n: int) -> Scenes:
        """`n` images with the ground truth."""
        canvas = Canvas(self._background(n), HANDS)
        self._props.desk(canvas, self._some(n, 0.5))
        for share in (0.6, 0.5, 0.4, 0.3):
            self._props.shapes(canvas, self._some(n, share), 0.04, 0.35)
        left = torch.zeros(n, HANDS, dtype=torch.bool, device=self.bank.device)
        alone = self._uniform(n) >= self._people_share
        peopled = (~alone).nonzero()[:, 0]
        if len(peopled):
            left[peopled, :2] = self._person(canvas, peopled)
        for prop, share in ((self._props.head, 0.2), (self._props.limb, 0.25)):
            prop(canvas, (alone & (self._uniform(n) < share)).nonzero()[:, 0])
        random = self._uniform(n)
        count = ((random > 0.14).long() + (random > 0.66) + (random > 0.92)) * alone
        size = self.size * SMALLEST * (LARGEST / SMALLEST) ** self._uniform(n)
        for slot in range(HANDS):
            rows = (count > slot).nonzero()[:, 0]
            if len(rows):
                left[rows, slot] = self._hand(canvas, rows, slot, size[rows])
        self._props.shapes(canvas, self._some(n, 0.25), 0.02, 0.2)
        low, high = canvas.joints.amin(2), canvas.joints.amax(2)
        centres, sizes = (low + high) / 2, BOX_MARGIN * (high - low).amax(2)
        inside = ((centres > 0) & (centres < self.size - 1)).all(-1)
        share = canvas.visible.mean(2)
        shown = inside & (share >= SHOWN)
        return Scenes(self._photographed(canvas.light), centres, canvas.joints, sizes, left, shown, (share > UNSURE) & ~shown)

    def _background(self, n: int) -> torch.Tensor:
        """(n, 3, S, S) linear light: backgrounds, most of them smoother and less saturated than the bank's images."""
        places = self.backgrounds.crops(n, self.size, self.generator)
        places = torch.lerp(places.mean(1, keepdim=True), places, self._uniform(n, 1, 1, 1))
        return torch.lerp(places.mean((2, 3), keepdim=True), places, self._uniform(n, 1, 1, 1).sqrt())

    def _person(self, canvas: Canvas, rows: torch.Tensor) -> torch.Tensor:
        """Composite a person over each scene of `rows`; returns which of their hands are left hands (K, 2)."""
        people = self.people
        assert people is not None
        k = len(rows)
        pick = (self._uniform(k) * len(people)).long()
        joints = people.joints[pick]
        hand = (self._uniform(k) < 0.5).long()
        wanted = joints[torch.arange(k, device=hand.device), hand].mean(1)
        random = self._uniform(k, 1)
        wanted = torch.where(random < 0.35, torch.full_like(wanted, (PEOPLE_SIZE - 1) / 2), wanted)
        wanted = torch.where(random < 0.2, people.heads[pick], wanted)
        window = PEOPLE_SIZE * 0.45 * (0.95 / 0.45) ** self._uniform(k, 1)
        # The scene is a part of the person's image: its edge is never in the scene.
        angle = torch.randn(k, generator=self.generator, device=wanted.device) * 0.12
        reach = window / 2 * (angle.cos() + angle.sin().abs())[:, None]
        reach = reach.clamp_max(PEOPLE_SIZE / 2)
        wanted = wanted + (self._uniform(k, 2) - 0.5) * window * 0.6
        origin = torch.minimum(torch.maximum(wanted, reach), PEOPLE_SIZE - reach)
        mirrored = self._uniform(k) < 0.5
        turn = turn_of(angle, self.size / window[:, 0], mirrored)
        placement = Placement(turn, origin, torch.full_like(origin, (self.size - 1) / 2))
        layers = resample(people.layers, pick, placement, self.size, PEOPLE_SIZE)
        mask = layers[:, 3:]
        gain = (0.7 + 0.6 * self._uniform(k))[:, None, None, None]
        canvas.paint(rows, layers[:, :3] / mask.clamp_min(1e-3) * gain, mask)
        for slot in range(2):
            canvas.add_hand(rows, slot, placement.to_scene(joints[:, slot]))
            canvas.visible[rows, slot] *= people.visible[pick, slot]
        return torch.stack([mirrored, ~mirrored], 1)

    def _hand(self, canvas: Canvas, rows: torch.Tensor, slot: int, size: torch.Tensor) -> torch.Tensor:
        """Composite a hand into each scene of `rows`, with body, arm and shadow; returns which are left hands (K,)."""
        k, bank = len(rows), self.bank
        pick = (self._uniform(k) * len(bank)).long()
        placement, left = self._place(pick, size * (0.75 + 0.5 * self._uniform(k)))
        arm = bank.arms[pick]
        gain = (0.7 + 0.6 * self._uniform(k))[:, None, None, None]
        self._body(canvas, rows, placement, arm, gain)
        layers = self._resample(pick, placement)
        mask = layers[:, 3:]
        shadow = self._some(k, 0.5)
        if len(shadow):
            shift = [int(v) for v in ((self._uniform(2) - 0.5) * self.size * 0.15).tolist()]
            cast = box_blur(torch.roll(mask[shadow], shift, (2, 3)), self.size // 16)
            canvas.light[rows[shadow]] *= 1 - 0.75 * self._uniform(len(shadow), 1, 1, 1) * cast
        colour = layers[:, :3] / mask.clamp_min(1e-3) * gain
        canvas.paint(rows, colour, mask)
        canvas.add_hand(rows, slot, placement.to_scene(bank.joints[pick]))
        # A hand that holds an object counts as shown as long as half of it is visible.
        canvas.visible[rows, slot] *= (2 * bank.free[pick]).clamp_max(1)[:, None]
        return left

    def _place(self, pick: torch.Tensor, size: torch.Tensor) -> tuple[Placement, torch.Tensor]:
        """Placements at any roll and position, partly out of the frame too; and which hands are mirrored (K,)."""
        k = len(pick)
        pixels = self.bank.joints[pick]
        low, high = pixels.amin(1), pixels.amax(1)
        scale = size / (BOX_MARGIN * (high - low).amax(1))
        angle = self._uniform(k) * 2 * torch.pi
        left = self._uniform(k) < 0.5
        # Most hands that are shown to a camera are in its frame.
        spread = torch.where(self._uniform(k, 1) < 0.7, 0.7, 1.16)
        centre = (0.5 + (self._uniform(k, 2) - 0.5) * spread) * self.size
        # Sometimes the arm's end is in the image, and the hand often is not.
        origin = torch.where(self._uniform(k, 1) < 0.12, self.bank.arms.place[pick], (low + high) / 2)
        return Placement(turn_of(angle, scale, left), origin, centre), left

    def _body(self, canvas: Canvas, rows: torch.Tensor, placement: Placement, arm: ArmEnds, gain: torch.Tensor) -> None:
        """The upper arm, or the rest of the forearm, and at its end a clothed body."""
        k = len(rows)
        end = placement.to_scene(arm.place[:, None])[:, 0]
        direction = normalize((placement.turn @ arm.direction[..., None])[..., 0], dim=1)
        scale = torch.linalg.det(placement.turn).abs().sqrt()
        # An elbow bends; a forearm that the cut-out truncates continues straight.
        bend = (self._uniform(k) - 0.5) * torch.where(arm.elbow, 3.4, 0.3)
        cos, sin = bend.cos(), bend.sin()
        direction = torch.stack([cos * direction[:, 0] - sin * direction[:, 1], sin * direction[:, 0] + cos * direction[:, 1]], 1)
        radius = arm.radius * scale
        length = radius * (2 + 8 * self._uniform(k))
        away = end + direction * length[:, None]
        body = self._some(k, 0.6)
        sleeve = torch.where(self._uniform(k) < 0.5, self._uniform(k), torch.full_like(length, 2.0))
        cloth = self._props.tube(canvas, rows, end, direction, length, radius, arm.colour[..., None, None] * gain, sleeve)
        if not len(body):
            return
        wide = radius[body] * (2 + 5 * self._uniform(len(body)))
        tall = wide * (1 + self._uniform(len(body)))
        middle = away[body] + direction[body] * wide[:, None] * 0.7
        x, y = ((v - middle[:, i, None, None, None]) for i, v in enumerate((canvas.x, canvas.y)))
        turn = (self._uniform(len(body)) * torch.pi)[:, None, None, None]
        u = (x * turn.cos() + y * turn.sin()) / wide[:, None, None, None]
        v = (y * turn.cos() - x * turn.sin()) / tall[:, None, None, None]
        folds = 1 + 0.25 * torch.sin(3 * u + 2 * v * self._uniform(len(body), 1, 1, 1)) - 0.3 * u
        mask = ((1 - u.abs() ** 3 - v.abs() ** 3) * wide[:, None, None, None] / 3 + 0.5).clamp(0, 1)
        canvas.paint(rows[body], cloth[body] * folds, mask)

    def _resample(self, pick: torch.Tensor, placement: Placement) -> torch.Tensor:
        """(K, 4, S, S) the cut-outs in their places, each from the resolution that fits its scale."""
        scale = torch.linalg.det(placement.turn).abs().sqrt()
        chosen = (-torch.log2(scale) + 0.3).floor().clamp(0, LEVELS - 1).long()
        out = torch.empty(len(pick), 4, self.size, self.size, device=self.bank.device)
        for number, level in enumerate(self.bank.levels):
            mine = (chosen == number).nonzero()[:, 0]
            if len(mine):
                out[mine] = resample(level, pick[mine], placement[mine], self.size, SIZE)
        return out

    def _photographed(self, light: torch.Tensor) -> torch.Tensor:
        """(N, S, S, 3) uint8 images. A frame is downscaled to this size, which leaves less blur and noise than in a crop."""
        radius = (
            (torch.linspace(-1, 1, self.size, device=light.device) ** 2)[:, None]
            + torch.linspace(-1, 1, self.size, device=light.device) ** 2
        ) / 2
        image = self._camera.expose(light * (1 - 0.8 * self._uniform(len(light), 1, 1, 1) ** 3 * radius))
        for change, share in ((self._camera.blur, 0.25), (self._camera.noise, 0.2), (self._camera.jpeg, 0.15)):
            rows = self._some(len(image), share)
            if len(rows):
                image[rows] = change(image[rows])
        return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
