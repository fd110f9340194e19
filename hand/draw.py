"""Drawn hands to learn from: random right hands in front of random places, as a crop camera sees them, with their truth."""

import math
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, max_pool2d, normalize

from hand.appearance import Lights, sample_appearance, sample_lights
from hand.backgrounds import Backgrounds
from hand.grasps import ThingSampler
from hand.joints import FINGER_MCPS, MIDDLE_MCP, WRIST
from hand.model import HandModel, axis_angle
from hand.photo import Camera
from hand.prior import sample_poses
from hand.render import Rendered, box_blur, render, render_things, turn_to_axis
from hand.sleeves import sleeved
from hand.spectrum import SpectrumMixer

BOX_MARGIN = 1.5
"""A hand's box is this many times the longer side of its joints' bounding box; `runtime.track` says the same."""
ROLL_JITTER_DEG = 15.0
"""Standard deviation of the fingers' direction about upright: what tracking gets wrong."""
ANY_ROLL = 0.2
"""Share of crops of any roll, as a hand is when it is first found."""
SHADOWED = 0.6
"""Share of pictures with a desk or wall behind the hand on which its shadow falls."""
PRINT_SIDE = 48
"""Side of the pictures that things are printed with, px."""
SURFACE_CELL = 4
"""Pixels a cell of the surface maps."""


@dataclass(frozen=True, slots=True)
class DrawnCrops:
    """N pictures of one right hand each."""

    images: torch.Tensor
    """(N, S, S, 3) uint8 sRGB."""
    joints: torch.Tensor
    """(N, 21, 3) unit hand in the crop camera's axes."""
    pixels: torch.Tensor
    """(N, 21, 2) in the crop."""
    visible: torch.Tensor
    """(N, 21) bool: nothing stands before the joint but the finger around it."""
    family: torch.Tensor
    """(N,) pose family, an index into `hand.prior.FAMILIES`."""
    facing: torch.Tensor
    """(N,) cosine between the back of the hand and the direction to the camera: 1 shows the back, −1 the palm."""
    tone: torch.Tensor
    """(N,) skin tone in [0, 9], light to dark."""
    present: torch.Tensor
    """(N,) bool: false where the picture shows no hand at all, only a place; the other fields then mean nothing."""
    mirrored: torch.Tensor
    """(N,) bool: true where the picture was mirrored into one of a left hand; the joints and pixels then mean nothing."""
    focal: torch.Tensor
    """(N,) px; the principal point is the picture's middle."""
    surface: torch.Tensor
    """(N, 5, S/4, S/4) float16: the share of each cell in which the hand is seen, and, times that share, where on the rest
    hand it is (x, y, z, hand axes) and how far behind the wrist (unit hands)."""


@dataclass(frozen=True, slots=True)
class _View:
    """Where the crop cameras stand."""

    rotation: torch.Tensor
    """(N, 3, 3) R_camera_from_hand."""
    origin: torch.Tensor
    """(N, 3) wrist in camera axes, unit hands."""
    focal: torch.Tensor
    """(N,) px."""
    roll: torch.Tensor
    """(N,) radians by which the picture's content was turned clockwise to stand the hand upright."""


def random_rotations(n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """(n, 3, 3) uniformly distributed, from normalised quaternions (Shoemake 1992)."""
    w, x, y, z = normalize(torch.randn(n, 4, generator=generator, device=device), dim=1).unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def _about_axis(angle: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) rotations about the optical axis; positive `angle` (N,) turns clockwise in the picture."""
    return axis_angle(angle.new_tensor([0.0, 0.0, 1.0]), angle)


def _place(joints: torch.Tensor, size: int, any_roll: float, generator: torch.Generator) -> _View:
    """Cameras in all directions, 3 to 14 hands away, turned to the hand's box as `runtime.crop` does, if not quite exactly.

    They are rolled so that the fingers' knuckles stand above the wrist, but for the share `any_roll` of them.
    """
    n, device = len(joints), joints.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    rotation = random_rotations(n, generator, device)
    centre = (rotation @ joints[:, MIDDLE_MCP, :, None])[..., 0]
    distance = 3.2 * (14 / 3.2) ** uniform()
    origin = -centre
    origin[:, 2] += distance

    def seen() -> torch.Tensor:
        points = joints @ rotation.transpose(1, 2) + origin[:, None]
        return points[..., :2] / points[..., 2:].clamp_min(0.2)

    def turned(turn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return turn @ rotation, (turn @ origin[..., None])[..., 0]

    flat = seen()
    up = flat[:, FINGER_MCPS].mean(1) - flat[:, WRIST]
    upright = -torch.atan2(up[:, 0], -up[:, 1])
    upright = upright + torch.randn(n, generator=generator, device=device) * math.radians(ROLL_JITTER_DEG)
    roll = torch.where(uniform() < any_roll, torch.zeros_like(upright), upright)
    rotation, origin = turned(_about_axis(roll))
    extent = flat.new_ones(n)
    for last in (False, True):
        flat = seen()
        low, high = flat.amin(1), flat.amax(1)
        extent = (high - low).amax(1)
        middle = (low + high) / 2
        if last:
            shift = (torch.randn(n, 2, generator=generator, device=device) * 0.07).clamp(-0.2, 0.2)
            middle = middle + shift * extent[:, None] * BOX_MARGIN
        rotation, origin = turned(turn_to_axis(torch.cat([middle, torch.ones_like(middle[:, :1])], 1)))
    box = (extent * BOX_MARGIN * (0.82 + 0.5 * uniform())).clamp_min(0.02)
    return _View(rotation, origin, size / box, roll)


def _rolled(lights: Lights, roll: torch.Tensor) -> Lights:
    """The lights of a room before cameras rolled as `_View.roll` says."""
    turn = _about_axis(roll).transpose(1, 2)
    return replace(lights, direction=lights.direction @ turn, up=(lights.up[:, None] @ turn)[:, 0])


class Drawer:
    """Draws batches of crops; deterministic by seed on one kind of device."""

    def __init__(
        self,
        size: int,
        backgrounds: Backgrounds,
        seed: int,
        device: torch.device | str = "cpu",
        border: int = 0,
        *,
        any_roll: float = ANY_ROLL,
        model: HandModel | None = None,
        texture: int | None = None,
    ):
        """Crops of `size` px, with `border` px more of the same picture on each side; the sum divisible by 16.

        `model` is another hand to draw; `texture` the number of the skin's noise, if not that of the backgrounds' split.
        """
        self.size, self.border, self.backgrounds, self.any_roll = size + 2 * border, border, backgrounds, any_roll
        self.device = torch.device(device)
        self.model = model or HandModel.load(device)
        self._texture = int(backgrounds.split == "held_out") if texture is None else texture
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._camera = Camera(self.generator, self.device)
        self._things = ThingSampler(self.generator, self.device)
        self._mix_spectrum = SpectrumMixer(backgrounds, self.generator)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def draw(self, n: int, absent: float = 0.0, mirrored: float = 0.0) -> DrawnCrops:
        """`n` pictures and their truth; a share `absent` of them is without the hand, a share `mirrored` shows a left one."""
        pose, family = sample_poses(n, self.generator, self.model)
        shape = torch.randn(n, self.model.components, generator=self.generator, device=self.device)
        hand = self.model.pose(shape, pose)
        view = _place(hand.joints, self.size - 2 * self.border, self.any_roll, self.generator)
        to_camera = view.rotation.transpose(1, 2)
        look = sample_appearance(n, self.generator, self.device, self._texture)
        skin = sleeved(hand.vertices, self.model, look)
        joints, vertices = (p @ to_camera + view.origin[:, None] for p in (hand.joints, skin))
        pixels = joints[..., :2] / joints[..., 2:] * view.focal[:, None, None] + (self.size - 1) / 2
        lights = _rolled(sample_lights(n, self.generator, self.device), view.roll)
        flat = vertices[..., :2] / vertices[..., 2:].clamp_min(1e-3)
        corners = flat * view.focal[:, None, None] + (self.size - 1) / 2
        things = self._things.sample(joints, view.focal, self.size)
        hand_layer = render(self.model, vertices, corners, (self.size, self.size), look, lights, things=things)
        prints = self.backgrounds.crops(n, PRINT_SIDE, self.generator)
        thing_layer = render_things(things, joints, view.focal, self.size, lights, hand_layer.shadow, prints)
        present = self._uniform(n) >= absent
        alpha = hand_layer.alpha * present[:, None, None, None]
        depth = torch.where(present[:, None, None, None], hand_layer.depth, 1e3)
        place = self._surroundings(hand_layer, alpha, joints, view)
        # Hands and places share their light's level only loosely.
        level = 0.75 + 0.5 * self._uniform(n, 1, 1, 1)
        light, front = thing_layer.around(hand_layer.light * level, alpha, depth, place)
        images = self._camera.shoot(light, self._mix_spectrum)
        left = torch.zeros_like(present)
        if mirrored:
            left = self._uniform(n) < mirrored
            images = torch.where(left[:, None, None, None], images.flip(2), images)
        rooted = joints - joints[:, :1]
        length = rooted[:, MIDDLE_MCP].norm(dim=1)[:, None, None]
        assert hand_layer.rest is not None
        behind = (depth - joints[:, :1, 2:, None]) / length[..., None]
        shown = alpha * (front >= depth)
        surface = torch.cat([shown, shown * hand_layer.rest, shown * behind.clamp(-4, 4)], 1)
        return DrawnCrops(
            images=images,
            joints=rooted / length,
            pixels=pixels,
            visible=self._visible(pixels, joints[..., 2], front),
            family=family,
            facing=-view.rotation[:, 2, 2],
            tone=look.tone,
            present=present,
            mirrored=left,
            focal=view.focal,
            surface=avg_pool2d(surface, SURFACE_CELL).half(),
        )

    def _surroundings(self, hand: Rendered, alpha: torch.Tensor, joints: torch.Tensor, view: _View) -> torch.Tensor:
        """What is behind the hand (N, 3, S, S): a room, other hands, and the hand's own shadow on it."""
        n, side = len(alpha), self.size
        place = self.backgrounds.crops(n, side, self.generator, view.roll)
        # Rooms, walls and desks have less colour than wallpapers.
        place = torch.lerp(place.mean(1, keepdim=True), place, self._uniform(n, 1, 1, 1) ** 0.7)
        place = self._distract(place, hand.light, alpha)
        return place * self._own_shadow(hand, alpha, joints, view)

    def _own_shadow(self, hand: Rendered, alpha: torch.Tensor, joints: torch.Tensor, view: _View) -> torch.Tensor:
        """(N, 1, S, S) share of the light that the hand leaves to a desk or wall behind it, which it often touches."""
        n, side = len(alpha), self.size
        shadow = alpha.new_ones(n, 1, side, side)
        chosen = (self._uniform(n) < SHADOWED).nonzero()[:, 0]
        m = len(chosen)
        if m:
            slant = (self._uniform(m, 2) - 0.5) * 1.6
            normal = normalize(torch.cat([slant, -slant.new_ones(m, 1)], 1), dim=1)
            # As far behind the joint that is nearest to the plane as a finger is thick, or farther.
            height = (joints[chosen] * normal[:, None]).sum(-1).amin(1)
            gap = 0.08 + (self._uniform(m) - 0.5).clamp_min(0) * 2
            point = normal * (height - gap)[:, None]
            lit = hand.shadow.on_planes(chosen, normal, point, view.focal[chosen], side)
            lit = torch.lerp(lit, box_blur(lit, side // 12), self._uniform(m, 1, 1, 1))
            shadow[chosen] = 1 - (0.15 + 0.7 * self._uniform(m, 1, 1, 1)) * (1 - lit)
        return torch.where(alpha.amax((1, 2, 3), keepdim=True) > 0, shadow, 1.0)

    def _distract(self, place: torch.Tensor, light: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """Other hands, arms and skin-coloured shapes behind the hand."""
        n, side = len(place), place.shape[-1]
        chosen = (self._uniform(n) < 0.22).nonzero()[:, 0]
        if len(chosen):
            other = torch.randint(n, (len(chosen),), generator=self.generator, device=self.device)
            angle = self._uniform(len(chosen)) * 2 * torch.pi
            size = 0.7 + 0.9 * self._uniform(len(chosen))
            cos, sin = angle.cos() / size, angle.sin() / size
            # Pushed towards the border, so that the hand in the middle stays the one that is meant.
            away = self._uniform(len(chosen)) * 2 * torch.pi
            reach = 0.9 + 0.6 * self._uniform(len(chosen))
            flip = torch.where(self._uniform(len(chosen)) < 0.5, -1.0, 1.0)
            theta = torch.stack([torch.stack([cos * flip, -sin * flip], 1), torch.stack([sin, cos], 1)], 1)
            centre = torch.stack([away.cos(), away.sin()], 1) * reach[:, None]
            theta = torch.cat([theta, -(theta @ centre[..., None])], 2)
            grid = affine_grid(theta, [len(chosen), 4, side, side], align_corners=False)
            moved = grid_sample(torch.cat([light, alpha], 1)[other], grid, align_corners=False)
            place = place.clone()
            place[chosen] = place[chosen] * (1 - moved[:, 3:]) + moved[:, :3]
        return place

    def _visible(self, pixels: torch.Tensor, depth: torch.Tensor, front: torch.Tensor) -> torch.Tensor:
        """(N, 21) whether the nearest surface around each joint's pixel is the joint's own finger."""
        n, side = len(pixels), front.shape[-1]
        nearest = -max_pool2d(-front, 3, 1, 1).view(n, -1)
        spot = pixels.round().long()
        within = ((spot >= 0) & (spot < side)).all(-1)
        spot = spot.clamp(0, side - 1)
        surface = nearest.gather(1, spot[..., 1] * side + spot[..., 0])
        return within & (depth < surface + 0.28)
