"""Synthetic training crops: random right hands in front of random backgrounds, in crop cameras, with the ground truth."""

from dataclasses import dataclass

import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, max_pool2d, normalize

from hand.joints import MIDDLE_MCP
from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth.aim import Aim, CropFraming, aim
from hand.synth.appearance import sample_appearance
from hand.synth.backgrounds import Backgrounds
from hand.synth.grasps import ObjectSampler
from hand.synth.light import rolled, sample_lights
from hand.synth.photo import Camera
from hand.synth.render import Rendered, box_blur, render, render_objects
from hand.synth.sleeves import sleeved
from hand.synth.spectrum import SpectrumMixer

ANY_ROLL = 0.2
"""Share of crops with a uniformly random roll, as of a hand that was just located; none where the locator tells the roll."""
SHADOWED = 0.6
"""Share of images with a desk or wall behind the hand that receives its shadow."""
PRINT_SIDE = 48
"""Side of the textures of objects, px."""
SURFACE_CELL = 4
"""Side of a cell of the surface maps, px."""


@dataclass(frozen=True, slots=True)
class SyntheticCrops:
    """N images of one right hand each, with the ground truth."""

    images: torch.Tensor
    """(N, S, S, 3) uint8 sRGB."""
    joints: torch.Tensor
    """(N, 21, 3) unit hand in the crop camera's axes."""
    pixels: torch.Tensor
    """(N, 21, 2) in the crop."""
    visible: torch.Tensor
    """(N, 21) bool: the joint is not occluded, except by its own finger."""
    family: torch.Tensor
    """(N,) pose family, an index into `hand.prior.FAMILIES`."""
    facing: torch.Tensor
    """(N,) cosine between the back of the hand and the direction to the camera: 1 shows the back, −1 the palm."""
    tone: torch.Tensor
    """(N,) skin tone in [0, 9], light to dark."""
    present: torch.Tensor
    """(N,) bool: false where the image shows the background alone; the other fields are then undefined."""
    mirrored: torch.Tensor
    """(N,) bool: true where the image was mirrored and shows a left hand; the joints and pixels are then undefined."""
    focal: torch.Tensor
    """(N,) px; the principal point is the image centre."""
    surface: torch.Tensor
    """(N, 5, S/4, S/4) float16: the share of each cell that the visible hand covers, and, times that share, its position
    on the rest hand (x, y, z, hand axes) and its depth behind the wrist (unit hands)."""
    weight: torch.Tensor
    """(N, 21) weight of each joint in the loss, in [0, 1]; 1 for synthetic ones, whose labels are exact."""
    weight_3d: torch.Tensor
    """(N, 21) the same of its place in 3D alone, besides `weight`; below 1 where a picture tells more of pixels than of depth."""
    taught: torch.Tensor
    """(N,) bool: true for a real hand with pseudo-labels; surface, visible, family, facing, tone are then undefined."""

    @classmethod
    def joined(cls, parts: "list[SyntheticCrops]") -> "SyntheticCrops":
        """The crops of all `parts`, in order."""
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in cls.__slots__})

    def rows(self, rows: torch.Tensor | slice) -> "SyntheticCrops":
        """The crops at indices `rows` (M,)."""
        return SyntheticCrops(**{name: getattr(self, name)[rows] for name in SyntheticCrops.__slots__})

    def to(self, device: torch.device | str) -> "SyntheticCrops":
        return SyntheticCrops(**{name: getattr(self, name).to(device) for name in SyntheticCrops.__slots__})


def rolled_share(framing: CropFraming | None) -> float:
    """Share of crops of any roll that a network is shown: a palm is found with its roll, another hand without."""
    return ANY_ROLL if framing is None or framing.around == "joints" else 0.0


class CropRenderer:
    """Renders batches of crops; deterministic by seed on one kind of device."""

    def __init__(
        self,
        size: int,
        backgrounds: Backgrounds,
        seed: int,
        device: torch.device | str = "cpu",
        border: int = 0,
        *,
        any_roll: float | None = None,
        framing: CropFraming | None = None,
        model: HandModel | None = None,
        texture: int | None = None,
    ):
        """Crops of `size` px, with a border of `border` px of the same image on each side; the sum is divisible by 16.

        `framing`: how a network wants hands cut out, around the joints if not given; `any_roll`: share of crops of any roll, by
        default that of the framing. `model` replaces the project's hand model; `texture` is the number of the skin's noise, by
        default that of the split.
        """
        self.size, self.border, self.backgrounds, self.framing = size + 2 * border, border, backgrounds, framing
        self.any_roll = rolled_share(framing) if any_roll is None else any_roll
        self.device = torch.device(device)
        self.model = model or HandModel.load(device)
        self._texture = int(backgrounds.split == "held_out") if texture is None else texture
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._camera = Camera(self.generator, self.device)
        self._objects = ObjectSampler(self.generator, self.device)
        self._mix_spectrum = SpectrumMixer(backgrounds, self.generator)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def render(self, n: int, absent: float = 0.0, mirrored: float = 0.0) -> SyntheticCrops:
        """`n` images with the ground truth; a share `absent` shows no hand, a share `mirrored` a left hand."""
        pose, family = sample_poses(n, self.generator, self.model)
        shape = torch.randn(n, self.model.components, generator=self.generator, device=self.device)
        hand = self.model.pose(shape, pose)
        view = aim(hand.joints, self.size - 2 * self.border, self.any_roll, self.generator, self.framing)
        to_camera = view.rotation.transpose(1, 2)
        appearance = sample_appearance(n, self.generator, self.device, self._texture)
        skin = sleeved(hand.vertices, self.model, appearance)
        joints, vertices = (p @ to_camera + view.origin[:, None] for p in (hand.joints, skin))
        pixels = joints[..., :2] / joints[..., 2:] * view.focal[:, None, None] + (self.size - 1) / 2
        lights = rolled(sample_lights(n, self.generator, self.device), view.roll)
        flat = vertices[..., :2] / vertices[..., 2:].clamp_min(1e-3)
        corners = flat * view.focal[:, None, None] + (self.size - 1) / 2
        objects = self._objects.sample(joints, view.focal, self.size)
        hand_layer = render(self.model, vertices, corners, (self.size, self.size), appearance, lights, objects=objects)
        prints = self.backgrounds.crops(n, PRINT_SIDE, self.generator)
        object_layer = render_objects(objects, joints, view.focal, self.size, lights, hand_layer.shadow, prints)
        present = self._uniform(n) >= absent
        alpha = hand_layer.alpha * present[:, None, None, None]
        depth = torch.where(present[:, None, None, None], hand_layer.depth, 1e3)
        background = self._background(hand_layer, alpha, joints, view)
        # The light levels of hand and background are only loosely correlated.
        level = 0.75 + 0.5 * self._uniform(n, 1, 1, 1)
        light, front = object_layer.composite(hand_layer.light * level, alpha, depth, background)
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
        return SyntheticCrops(
            images=images,
            joints=rooted / length,
            pixels=pixels,
            visible=self._visible(pixels, joints[..., 2], front),
            family=family,
            facing=-view.rotation[:, 2, 2],
            tone=appearance.tone,
            present=present,
            mirrored=left,
            focal=view.focal,
            surface=avg_pool2d(surface, SURFACE_CELL).half(),
            weight=torch.ones_like(pixels[..., 0]),
            weight_3d=torch.ones_like(pixels[..., 0]),
            taught=torch.zeros_like(present),
        )

    def _background(self, hand: Rendered, alpha: torch.Tensor, joints: torch.Tensor, view: Aim) -> torch.Tensor:
        """(N, 3, S, S) background: a room, other hands, and the hand's own shadow on it."""
        n, side = len(alpha), self.size
        background = self.backgrounds.crops(n, side, self.generator, view.roll)
        # Rooms, walls and desks are less saturated than the bank's pictures.
        background = torch.lerp(background.mean(1, keepdim=True), background, self._uniform(n, 1, 1, 1) ** 0.7)
        background = self._with_distractors(background, hand.light, alpha)
        return background * self._own_shadow(hand, alpha, joints, view)

    def _own_shadow(self, hand: Rendered, alpha: torch.Tensor, joints: torch.Tensor, view: Aim) -> torch.Tensor:
        """(N, 1, S, S) share of the light that the hand's shadow leaves on a desk or wall behind it, often in contact."""
        n, side = len(alpha), self.size
        shadow = alpha.new_ones(n, 1, side, side)
        chosen = (self._uniform(n) < SHADOWED).nonzero()[:, 0]
        m = len(chosen)
        if m:
            slant = (self._uniform(m, 2) - 0.5) * 1.6
            normal = normalize(torch.cat([slant, -slant.new_ones(m, 1)], 1), dim=1)
            # The plane's distance behind the nearest joint is a finger's thickness or more.
            height = (joints[chosen] * normal[:, None]).sum(-1).amin(1)
            gap = 0.08 + (self._uniform(m) - 0.5).clamp_min(0) * 2
            point = normal * (height - gap)[:, None]
            lit = hand.shadow.on_planes(chosen, normal, point, view.focal[chosen], side)
            lit = torch.lerp(lit, box_blur(lit, side // 12), self._uniform(m, 1, 1, 1))
            shadow[chosen] = 1 - (0.15 + 0.7 * self._uniform(m, 1, 1, 1)) * (1 - lit)
        return torch.where(alpha.amax((1, 2, 3), keepdim=True) > 0, shadow, 1.0)

    def _with_distractors(self, background: torch.Tensor, light: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """`background` (N, 3, S, S) with other hands and arms behind the hand."""
        n, side = len(background), background.shape[-1]
        chosen = (self._uniform(n) < 0.22).nonzero()[:, 0]
        if len(chosen):
            other = torch.randint(n, (len(chosen),), generator=self.generator, device=self.device)
            angle = self._uniform(len(chosen)) * 2 * torch.pi
            size = 0.7 + 0.9 * self._uniform(len(chosen))
            cos, sin = angle.cos() / size, angle.sin() / size
            # Shifted towards the border: the target hand stays the one in the middle.
            away = self._uniform(len(chosen)) * 2 * torch.pi
            reach = 0.9 + 0.6 * self._uniform(len(chosen))
            flip = torch.where(self._uniform(len(chosen)) < 0.5, -1.0, 1.0)
            theta = torch.stack([torch.stack([cos * flip, -sin * flip], 1), torch.stack([sin, cos], 1)], 1)
            centre = torch.stack([away.cos(), away.sin()], 1) * reach[:, None]
            theta = torch.cat([theta, -(theta @ centre[..., None])], 2)
            grid = affine_grid(theta, [len(chosen), 4, side, side], align_corners=False)
            moved = grid_sample(torch.cat([light, alpha], 1)[other], grid, align_corners=False)
            background = background.clone()
            background[chosen] = background[chosen] * (1 - moved[:, 3:]) + moved[:, :3]
        return background

    def _visible(self, pixels: torch.Tensor, depth: torch.Tensor, front: torch.Tensor) -> torch.Tensor:
        """(N, 21) whether the nearest surface around each joint's pixel is the joint's own finger."""
        n, side = len(pixels), front.shape[-1]
        nearest = -max_pool2d(-front, 3, 1, 1).view(n, -1)
        spot = pixels.round().long()
        within = ((spot >= 0) & (spot < side)).all(-1)
        spot = spot.clamp(0, side - 1)
        surface = nearest.gather(1, spot[..., 1] * side + spot[..., 0])
        return within & (depth < surface + 0.28)
