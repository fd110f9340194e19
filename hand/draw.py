"""Drawn hands to learn from: random right hands in front of random places, as a crop camera sees them, with their truth."""

from dataclasses import dataclass

import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate, max_pool2d, normalize

from hand.appearance import Appearance, albedo, sample_appearance, sample_lights, shade
from hand.backgrounds import Backgrounds
from hand.joints import MIDDLE_MCP
from hand.model import HandModel
from hand.photo import Camera
from hand.prior import sample_poses
from hand.raster import Fragments, rasterise, vertex_normals

SUPERSAMPLING = 2
BOX_MARGIN = 1.5
"""A hand's box is this many times the longer side of its joints' bounding box; `runtime.track` says the same."""


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


@dataclass(frozen=True, slots=True)
class _View:
    """Where the crop cameras stand."""

    rotation: torch.Tensor
    """(N, 3, 3) R_camera_from_hand."""
    origin: torch.Tensor
    """(N, 3) wrist in camera axes, unit hands."""
    focal: torch.Tensor
    """(N,) px."""


def random_rotations(n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """(n, 3, 3) uniformly distributed, from normalised quaternions (Shoemake 1992)."""
    w, x, y, z = normalize(torch.randn(n, 4, generator=generator, device=device), dim=1).unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def turn_to_axis(direction: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) smallest rotations that turn `direction` (N, 3), somewhere in front, onto the z axis."""
    x, y, z = normalize(direction, dim=1).unbind(1)
    k = 1 / (1 + z)
    rows = [1 - x * x * k, -x * y * k, -x, -x * y * k, 1 - y * y * k, -y, x, y, z]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def _place(joints: torch.Tensor, size: int, generator: torch.Generator) -> _View:
    """Cameras in all directions at 3 to 14 hands' distance, turned to the hand's box as `runtime.crop` does, not quite exactly."""
    n, device = len(joints), joints.device

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    rotation = random_rotations(n, generator, device)
    centre = (rotation @ joints[:, MIDDLE_MCP, :, None])[..., 0]
    distance = 3.2 * (14 / 3.2) ** uniform()
    origin = -centre
    origin[:, 2] += distance
    for last in (False, True):
        seen = joints @ rotation.transpose(1, 2) + origin[:, None]
        flat = seen[..., :2] / seen[..., 2:].clamp_min(0.2)
        low, high = flat.amin(1), flat.amax(1)
        extent = (high - low).amax(1)
        middle = (low + high) / 2
        if last:
            shift = (torch.randn(n, 2, generator=generator, device=device) * 0.07).clamp(-0.2, 0.2)
            middle = middle + shift * extent[:, None] * BOX_MARGIN
        turn = turn_to_axis(torch.cat([middle, torch.ones_like(middle[:, :1])], 1))
        rotation, origin = turn @ rotation, (turn @ origin[..., None])[..., 0]
    box = (extent * BOX_MARGIN * (0.82 + 0.5 * uniform())).clamp_min(0.02)
    return _View(rotation, origin, size / box)


def _shadow(vertices: torch.Tensor, faces: torch.Tensor, towards: torch.Tensor, points: Fragments, position: torch.Tensor, size: int) -> torch.Tensor:
    """(K,) share of a light from direction `towards` (N, 3) that reaches the fragments at `position` (K, 3)."""
    turn = turn_to_axis(torch.where(towards[:, 2:] > -0.98, -towards, -towards + 0.2))
    in_light = vertices @ turn.transpose(1, 2)
    low, high = in_light.amin(1), in_light.amax(1)
    scale = (size - 3) / (high - low)[:, :2].amax(1)
    pixels = (in_light[..., :2] - low[:, None, :2]) * scale[:, None, None] + 1
    drawn = rasterise(pixels, in_light[..., 2] - low[:, None, 2] + 1, faces, (size, size))
    nearest = drawn.dense(drawn.depth[:, None], 1e3)[..., 0].flatten()
    image = points.image
    place = (turn[image] @ position[..., None])[..., 0] - low[image]
    spot = place[:, :2] * scale[image, None] + 1
    depth = place[:, 2] + 1
    lit = torch.zeros_like(depth)
    for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        x = (spot[:, 0] + dx - 0.5).round().long().clamp(0, size - 1)
        y = (spot[:, 1] + dy - 0.5).round().long().clamp(0, size - 1)
        lit += depth < nearest[image * size * size + y * size + x] + 0.09
    return lit / 4


def _open_sky(fragments: Fragments) -> torch.Tensor:
    """(K,) ambient light that is left where the surface lies deeper than what is around it, from the depth image."""
    n, height, width = fragments.shape
    depth = fragments.dense(fragments.depth[:, None]).view(n, 1, height, width)
    both = torch.cat([depth, (depth > 0).to(depth.dtype)], 1)
    hidden = torch.zeros_like(depth)
    for radius in (1, 3):
        mean, covered = box_blur(both, radius * height // 32).split(1, 1)
        hidden += ((depth - mean / covered.clamp_min(1e-6)) / 0.35).clamp(0, 0.45)
    return 1 - hidden.flatten()[fragments.cell]


def box_blur(image: torch.Tensor, radius: int) -> torch.Tensor:
    """(N, C, H, W) means over about (2 radius + 1)² pixels, from a quarter of the resolution, since pooling wide windows is slow."""
    small = avg_pool2d(image, 4)
    kernel = max(1, radius // 4) * 2 + 1
    small = avg_pool2d(avg_pool2d(small, (1, kernel), 1, (0, kernel // 2)), (kernel, 1), 1, (kernel // 2, 0))
    return interpolate(small, scale_factor=4.0)


class Drawer:
    """Draws batches of crops; deterministic by seed on one kind of device."""

    def __init__(self, size: int, backgrounds: Backgrounds, seed: int, device: torch.device | str = "cpu", border: int = 0):
        """Crops of `size` px, with `border` px more of the same picture on each side; the sum divisible by 16."""
        self.size, self.border, self.backgrounds = size + 2 * border, border, backgrounds
        self.device = torch.device(device)
        self.model = HandModel.load(device)
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._camera = Camera(self.generator, self.device)
        self._surface = torch.cat([self.model.vertices, *(self.model.regions[k][:, None] for k in self.model.regions)], 1)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def draw(self, n: int, absent: float = 0.0) -> DrawnCrops:
        """`n` pictures and their truth; a share `absent` of them is without the hand."""
        pose, family = sample_poses(n, self.generator, self.model)
        shape = torch.randn(n, self.model.components, generator=self.generator, device=self.device)
        hand = self.model.pose(shape, pose)
        view = _place(hand.joints, self.size - 2 * self.border, self.generator)
        to_camera = view.rotation.transpose(1, 2)
        joints, vertices = (p @ to_camera + view.origin[:, None] for p in (hand.joints, hand.vertices))
        pixels = joints[..., :2] / joints[..., 2:] * view.focal[:, None, None] + (self.size - 1) / 2
        light, alpha, depth, look = self._hand(vertices, view)
        present = self._uniform(n) >= absent
        alpha = alpha * present[:, None, None, None]
        depth = torch.where(present[:, None, None, None], depth, 1e3)
        light, front = self._scene(light, alpha, depth, joints[..., 2].mean(1))
        images = self._camera.shoot(light)
        rooted = joints - joints[:, :1]
        return DrawnCrops(
            images=images,
            joints=rooted / rooted[:, MIDDLE_MCP].norm(dim=1)[:, None, None],
            pixels=pixels,
            visible=self._visible(pixels, joints[..., 2], front),
            family=family,
            facing=-view.rotation[:, 2, 2],
            tone=look.tone,
            present=present,
        )

    def _hand(self, vertices: torch.Tensor, view: _View) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Appearance]:
        """Light (N, 3, S, S), coverage (N, 1, S, S) and depth (N, 1, S, S; 1e3 where there is none) of the hand alone."""
        n, faces, side = len(vertices), self.model.faces, self.size
        flat = vertices[..., :2] / vertices[..., 2:].clamp_min(1e-3)
        pixels = flat * view.focal[:, None, None] + (side - 1) / 2
        fragments = rasterise(pixels, vertices[..., 2], faces, (side, side), SUPERSAMPLING)
        look = sample_appearance(n, self.generator, self.device)
        lights = sample_lights(n, self.generator, self.device)
        moving = torch.cat([vertices, vertex_normals(vertices, faces)], -1)
        position, normal = fragments.interpolate(moving, faces).split(3, 1)
        surface = fragments.interpolate(self._surface, faces)
        regions = {name: surface[:, 3 + k : 4 + k] for k, name in enumerate(self.model.regions)}
        colour, skin = albedo(look, fragments.image, surface[:, :3], regions)
        lit = _shadow(vertices, faces, lights.direction[:, 0], fragments, position, side)
        light = shade(lights, look, fragments.image, normalize(normal, dim=1), position, colour, skin, lit, _open_sky(fragments))
        layers = torch.cat([light, fragments.coverage[:, None]], 1)
        light, alpha = fragments.dense(layers).permute(0, 3, 1, 2).split((3, 1), 1)
        depth = fragments.dense(fragments.depth[:, None], 1e3).permute(0, 3, 1, 2)
        return light, alpha, depth, look

    def _scene(self, light: torch.Tensor, alpha: torch.Tensor, depth: torch.Tensor, middle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The hand in its surroundings (N, 3, S, S), and the depth of what stands in front (N, 1, S, S)."""
        n, side = len(light), light.shape[-1]
        place = self.backgrounds.crops(n, side, self.generator)
        place = self._distract(place, light, alpha)
        # The hand's own soft shadow on what is behind it.
        shift = [int(v) for v in ((self._uniform(2) - 0.5) * side * 0.2).tolist()]
        cast = box_blur(torch.roll(alpha, shift, (2, 3)), side // 10)
        strength = 0.75 * self._uniform(n, 1, 1, 1) * (self._uniform(n, 1, 1, 1) < 0.5)
        place = place * (1 - strength * cast)
        # Hands and places share their light's level only loosely.
        light = light * (0.75 + 0.5 * self._uniform(n, 1, 1, 1))
        scene = torch.lerp(place, light, alpha)
        thing, mask, thing_depth = self._occluders(n, side, middle)
        hides = mask * (thing_depth < depth) * ((self._uniform(n, 1, 1, 1) < 0.85) | (alpha > 0))
        return torch.lerp(scene, thing, hides), torch.where(hides > 0.5, thing_depth, depth)

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

    def _occluders(self, n: int, side: int, middle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One object an image on about two fifths of them: its light (N, 3, S, S), mask and depth (N, 1, S, S).

        A tilted, textured sheet with the outline of a rounded box or an ellipse, in front of the hand or somewhere among
        the fingers, so that it hides some and is held by others.
        """

        def uniform(*shape: int) -> torch.Tensor:
            return self._uniform(n, *shape)

        present = uniform(1, 1) < 0.38
        span = torch.linspace(-1, 1, side, device=self.device)
        y, x = torch.meshgrid(span, span, indexing="ij")
        held = uniform(1, 1) < 0.6
        angle = uniform(1, 1) * torch.pi
        direction = uniform(1, 1) * 2 * torch.pi
        reach = torch.where(held, 0.45 * uniform(1, 1), 0.45 + 0.6 * uniform(1, 1))
        dx, dy = x - direction.cos() * reach, y - direction.sin() * reach
        along, across = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
        long, short = 0.2 + 0.8 * uniform(1, 1), 0.07 + 0.33 * uniform(1, 1)
        power = torch.where(uniform(1, 1) < 0.5, 2.0, 8.0)
        inside = (along / long).abs() ** power + (across / short).abs() ** power
        mask = ((1.05 - inside) * 8).clamp(0, 1) * present
        tilt = (uniform(2, 1, 1) - 0.5) * 1.2
        offset = torch.where(held, (uniform(1, 1) - 0.5) * 0.9, -0.5 - uniform(1, 1))
        depth = middle[:, None, None] + offset + tilt[:, 0] * x + tilt[:, 1] * y
        texture = self.backgrounds.crops(n, side, self.generator)
        plain = uniform(3, 1, 1) ** 2.2
        texture = torch.lerp(texture, plain.expand_as(texture), (uniform(1, 1, 1) < 0.5).float() * 0.85)
        # Rounded: darker towards the edge.
        texture = texture * (1.1 - 0.6 * inside.clamp(0, 1) ** 2)[:, None]
        return texture, mask[:, None], depth[:, None]

    def _visible(self, pixels: torch.Tensor, depth: torch.Tensor, front: torch.Tensor) -> torch.Tensor:
        """(N, 21) whether the nearest surface around each joint's pixel is the joint's own finger."""
        n, side = len(pixels), front.shape[-1]
        nearest = -max_pool2d(-front, 3, 1, 1).view(n, -1)
        spot = pixels.round().long()
        within = ((spot >= 0) & (spot < side)).all(-1)
        spot = spot.clamp(0, side - 1)
        surface = nearest.gather(1, spot[..., 1] * side + spot[..., 0])
        return within & (depth < surface + 0.28)
