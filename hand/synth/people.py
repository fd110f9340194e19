"""Rendering of whole people with both hands, one per image, for webcams, cameras above a desk and headset cameras.

Bodies come posed from `hand/assets/people.safetensors` (made by `tools.make.people`); their hands are posed by the hand model.
Body axes: x to the left hand, −y to the front, z up, metres. A left hand is a mirrored right hand.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from torch.nn.functional import normalize

from hand.joints import JOINTS
from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth.appearance import albedo
from hand.synth.desks import OBJECTS, desk_faces, object_colour, sample_desks
from hand.synth.dress import HEAD, SKIN_REGIONS, body_surface, sample_outfits, scalp
from hand.synth.light import sample_lights, shade
from hand.synth.raster import Fragments, rasterise, vertex_normals
from hand.synth.render import box_blur

ASSET = Path(__file__).parents[1] / "assets" / "people.safetensors"
HANDS = 2
"""Order of the hands: right, left."""
THICKNESS = 0.035
"""Depth in front of a joint, metres, within which a surface is its own finger and does not occlude it."""
BODY, RIGHT, LEFT, DESK, OBJECT = range(5)
"""Owners of faces."""


@dataclass(frozen=True, slots=True)
class People:
    """P posed bodies without hands."""

    faces: torch.Tensor
    """(F, 3) counter-clockwise from outside."""
    rest: torch.Tensor
    """(V, 3) the mean body at rest, from the point between its eyes."""
    parts: torch.Tensor
    """(V, 4) shares of head, torso, arm and leg in each vertex."""
    limb: torch.Tensor
    """(V,) position along the limb: 0 at shoulder or hip, 1 at wrist or ankle; negative on the trunk."""
    bodies: torch.Tensor
    """(P, V, 3)."""
    wrists: torch.Tensor
    """(P, 2, 3) right, left; the left one mirrored, like the next field."""
    forearms: torch.Tensor
    """(P, 2, 3, 3) R_body_from_hand of a hand in line with its forearm."""
    hand_sizes: torch.Tensor
    """(P, 2) wrist to middle MCP."""
    eyes: torch.Tensor
    """(P, 3) the point between the eyes."""
    desks: torch.Tensor
    """(P,) height of the desk."""

    @staticmethod
    @cache
    def load(device: str) -> "People":
        with safe_open(ASSET, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in People.__slots__}
        return People(**{name: (t.long() if name == "faces" else t.float()).to(device) for name, t in tensors.items()})


class SyntheticPeople(NamedTuple):
    """N images of one person each."""

    layers: torch.Tensor
    """(N, 4, S, S) linear light times coverage, and coverage."""
    joints: torch.Tensor
    """(N, 2, 21, 2) px, right and left hand."""
    visible: torch.Tensor
    """(N, 2, 21) 1 where the joint is in the image and not occluded."""
    heads: torch.Tensor
    """(N, 2) px, the point between the eyes; far outside for people who wear the camera."""


class PeopleRenderer:
    """Renders batches of people; deterministic by seed on one kind of device."""

    def __init__(self, size: int, seed: int, device: torch.device | str = "cpu", texture: int = 0):
        """Images of `size` px, divisible by 4; `texture` as in `hand.synth.appearance.Appearance`."""
        self.size, self.device, self._texture = size, torch.device(device), texture
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._people = People.load(str(self.device))
        self._hand = HandModel.load(device)
        hand, body = self._hand.faces, self._people.faces
        desk, objects = desk_faces(self.device)
        first = len(self._people.rest)
        second = first + len(self._hand.vertices)
        third = second + len(self._hand.vertices)
        fourth = third + int(desk.max()) + 1
        faces = [body, hand + first, hand.flip(1) + second, desk + third, objects + fourth]
        self._faces = torch.cat(faces)
        counts = torch.tensor([len(part) for part in faces], device=device)
        self._owner = torch.repeat_interleave(counts)
        """(F,) owner of each face: `BODY`, the hands, `DESK` or `OBJECT`."""
        self._first_object = len(self._faces) - len(objects)
        skin = torch.cat([self._hand.vertices, *(values[:, None] for values in self._hand.regions.values())], 1)
        self._surface = torch.zeros(fourth + int(objects.max()) + 1, 3 + len(SKIN_REGIONS) + 5, device=device)
        """(V, ·) position on the hand or body at rest, the hand's regions, the body's parts, position along the limb."""
        self._surface[:first, :3] = self._people.rest
        self._surface[:first, -5:] = torch.cat([self._people.parts, self._people.limb[:, None]], 1)
        self._surface[first:third, : skin.shape[1]] = skin.repeat(HANDS, 1)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def render(self, n: int) -> SyntheticPeople:
        """`n` images with the ground truth."""
        people, pick = self._people, (self._uniform(n) * len(self._people.bodies)).long()
        kind = (self._uniform(n, 1) * 3).long()
        worn = kind[:, 0] == 2
        joints, hands = self._hands(pick)
        body = self._hair(people.bodies[pick], worn)
        desk, objects = sample_desks(people.desks[pick], self.generator)
        vertices = torch.cat([body, *hands.unbind(1), desk, objects], 1)
        rotation, origin, focal = self._cameras(pick, kind, joints)

        def projected(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            turned = (points - origin[:, None]) @ rotation.transpose(1, 2)
            pixels = turned[..., :2] / turned[..., 2:].clamp_min(1e-3) * focal[:, None, None] + (self.size - 1) / 2
            return turned, pixels

        turned, pixels = projected(vertices)
        fragments = rasterise(pixels, turned[..., 2], self._faces, (self.size, self.size), 2)
        layers = self._shade(fragments, turned)
        shown = torch.stack([fragments.depth, self._owner[fragments.face].float()], 1)
        points, spots = projected(joints.flatten(1, 2))
        visible = _visible(fragments.dense(shown, 1e3), points[..., 2], spots).unflatten(1, (HANDS, JOINTS))
        heads = torch.where(worn[:, None], torch.full_like(spots[:, 0], -1e4), projected(people.eyes[pick, None])[1][:, 0])
        return SyntheticPeople(layers, spots.unflatten(1, (HANDS, JOINTS)), visible, heads)

    def _hands(self, pick: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Joints (N, 2, 21, 3) and skin (N, 2, V, 3) of both hands, body axes."""
        people, n = self._people, len(pick)
        pose, _ = sample_poses(HANDS * n, self.generator, self._hand)
        hand = self._hand.pose(self._normal(n, self._hand.components).repeat_interleave(HANDS, 0), pose)
        # The model's wrist moves the forearm relative to the hand; here the forearm is given.
        arm = self._hand.bone_rotations(pose)[:, -1].unflatten(0, (n, HANDS))
        twist = (self._uniform(n, HANDS) - 0.5) * 2.6
        sin, cos, zero, one = twist.sin(), twist.cos(), torch.zeros_like(twist), torch.ones_like(twist)
        roll = torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], -1).unflatten(-1, (3, 3))
        turn = people.forearms[pick] @ roll @ arm.transpose(2, 3)
        mirror = turn.new_tensor([[1.0, 1, 1], [-1, 1, 1]])[None, :, None]

        def attached(points: torch.Tensor) -> torch.Tensor:
            placed = points.unflatten(0, (n, HANDS)) * people.hand_sizes[pick][..., None, None] @ turn.transpose(2, 3)
            return (placed + people.wrists[pick][:, :, None]) * mirror

        return attached(hand.joints), attached(hand.vertices)

    def _hair(self, bodies: torch.Tensor, worn: torch.Tensor) -> torch.Tensor:
        """Bodies (N, V, 3) with the volume of their hair; the wearer of the camera has no head."""
        people, n = self._people, len(bodies)
        head = people.parts[:, HEAD] > 0.5
        middle = bodies[:, head].mean(1, keepdim=True)
        thickness = 0.25 * self._uniform(n, 1, 1) ** 2 * scalp(people.rest)[:, None]
        bodies = bodies + (bodies - middle) * thickness
        return torch.where(worn[:, None, None] & head[:, None], middle, bodies)

    def _cameras(
        self, pick: torch.Tensor, kind: torch.Tensor, joints: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """R_camera_from_body (N, 3, 3), places (N, 3) and focal lengths (N,) px: in front of, above or worn by the person."""
        people, n = self._people, len(pick)
        eyes = people.eyes[pick]
        chest = eyes - eyes.new_tensor([0, 0, 0.3])
        hands = joints.mean((1, 2))

        def between(before: tuple[float, float], above: tuple[float, float]) -> torch.Tensor:
            low, high = (torch.where(kind == 0, a, b) for a, b in zip(before, above, strict=True))
            return low + (high - low) * self._uniform(n, 1)

        azimuth = between((-0.9, 0.9), (-2.4, 2.4))
        elevation = between((-0.35, 0.6), (0.6, 1.4))
        distance = between((0.55, 1.6), (0.6, 1.3))
        level = elevation.cos() * distance
        around = torch.cat([azimuth.sin() * level, -azimuth.cos() * level, elevation.sin() * distance], 1)
        target = torch.lerp(chest, hands, self._uniform(n, 1)) + self._normal(n, 3) * 0.05
        ahead = hands + self._normal(n, 3) * 0.1 + eyes.new_tensor([0, -0.15, 0])
        worn = kind == 2
        place = torch.where(worn, eyes + self._normal(n, 3) * 0.02 + eyes.new_tensor([0, -0.08, 0.02]), target + around)
        target = torch.where(worn, ahead, target)
        forward = normalize(target - place, dim=1)
        up = eyes.new_tensor([0.0, -0.3, 1.0]).expand(n, -1) + self._normal(n, 3) * 0.08
        right = normalize(torch.linalg.cross(forward, up), dim=1)
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], 1)
        # The image spans 0.8 to 1.6 m at the target's distance.
        span = 0.8 + 0.8 * self._uniform(n)
        return rotation, place, self.size * (target - place).norm(dim=1) / span

    def _shade(self, fragments: Fragments, turned: torch.Tensor) -> torch.Tensor:
        """(N, 4, S, S) layers of vertices `turned` (N, V, 3), camera axes."""
        n = len(turned)
        normals = vertex_normals(turned, self._faces)
        position, normal = fragments.interpolate(torch.cat([turned, normals], -1), self._faces).split(3, 1)
        owner, image = self._owner[fragments.face], fragments.image
        surface = fragments.interpolate(self._surface, self._faces)
        outfits = sample_outfits(n, OBJECTS, self.generator, self.device, self._texture)
        regions = {name: surface[:, 3 + k : 4 + k] for k, name in enumerate(SKIN_REGIONS)}
        colour, skin, gloss = albedo(outfits.appearance, image, surface[:, :3], regions, self._hand.joints)
        rows = (owner == BODY).nonzero()[:, 0]
        parts, limb = surface[rows, -5:].split((4, 1), 1)
        colour[rows], skin[rows], gloss[rows] = body_surface(
            outfits, image[rows], surface[rows, :3], parts.argmax(1), limb[:, 0], self._hand.joints
        )
        rows = (owner == DESK).nonzero()[:, 0]
        colour[rows], skin[rows] = outfits.desk[image[rows]], 0.0
        rows = (owner == OBJECT).nonzero()[:, 0]
        colour[rows] = object_colour(
            outfits.objects, image[rows], fragments.face[rows] - self._first_object, fragments.weights[rows]
        )
        skin[rows] = 0.0
        lights = sample_lights(n, self.generator, self.device)
        sky = _ambient_visibility(fragments)
        light = shade(lights, gloss, image, normalize(normal, dim=1), position, colour, skin, sky, sky)
        coverage = fragments.coverage[:, None]
        return fragments.dense(torch.cat([light * coverage, coverage], 1)).permute(0, 3, 1, 2)


def _ambient_visibility(fragments: Fragments) -> torch.Tensor:
    """(K,) share of the ambient light, less where a surface lies a little deeper than its surroundings."""
    n, height, width = fragments.shape
    depth = fragments.dense(fragments.depth[:, None]).view(n, 1, height, width)
    mean, covered = box_blur(torch.cat([depth, (depth > 0).to(depth.dtype)], 1), height // 16).split(1, 1)
    hidden = ((depth - mean / covered.clamp_min(1e-6)) / 0.25).clamp(0, 0.5)
    return 1 - hidden.flatten()[fragments.cell]


def _visible(front: torch.Tensor, depth: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(N, 42) 1 where both hands' joints at `pixels` (N, 42, 2) and `depth` (N, 42) are in the image and not occluded.

    `front` (N, S, S, 2) is the depth and the owner of the nearest surface. A hand does not occlude itself.
    """
    side = front.shape[1]
    spot = pixels.round().long()
    within = ((spot >= 0) & (spot < side)).all(-1) & (depth > 0.05)
    spot = spot.clamp(0, side - 1)
    place = spot[..., 1] * side + spot[..., 0]
    nearest, owner = (front[..., k].flatten(1).gather(1, place) for k in range(2))
    own = owner == torch.arange(RIGHT, LEFT + 1, device=owner.device).repeat_interleave(JOINTS)
    return (within & (own | (depth < nearest + THICKNESS))).float()
