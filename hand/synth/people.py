"""Rendering of whole people with both hands, alone, as a webcam, a camera over their desk or their own headset sees them.

Bodies come posed from `hand/assets/people.safetensors` (made by `tools.make.people`); their hands are the hand model's own.
Body axes: x to the left hand, −y to the front, z up, metres. A left hand is a right one in a mirror.
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
from hand.synth.desks import THINGS, desk_faces, sample_desks, thing_colour
from hand.synth.dress import HEAD, SKIN_REGIONS, body_surface, sample_outfits, scalp
from hand.synth.light import sample_lights, shade
from hand.synth.raster import Fragments, rasterise, vertex_normals
from hand.synth.render import box_blur

ASSET = Path(__file__).parents[1] / "assets" / "people.safetensors"
HANDS = 2
"""Right, left."""
THICKNESS = 0.035
"""A joint is in sight where nothing stands nearer to the camera than the finger around it, metres."""
BODY, RIGHT, LEFT, DESK, THING = range(5)
"""What is rendered of each person."""


@dataclass(frozen=True, slots=True)
class People:
    """P posed bodies without hands."""

    faces: torch.Tensor
    """(F, 3) counter-clockwise from outside."""
    rest: torch.Tensor
    """(V, 3) the mean body at rest, from the point between its eyes."""
    parts: torch.Tensor
    """(V, 4) how much head, torso, arm and leg a vertex is."""
    limb: torch.Tensor
    """(V,) along its limb: 0 at shoulder or hip, 1 at wrist or ankle; less above."""
    bodies: torch.Tensor
    """(P, V, 3)."""
    wrists: torch.Tensor
    """(P, 2, 3) right, left; the left one mirrored, like the next field."""
    forearms: torch.Tensor
    """(P, 2, 3, 3) R_body_from_hand of a hand in line with its forearm."""
    hand_sizes: torch.Tensor
    """(P, 2) wrist to middle MCP."""
    eyes: torch.Tensor
    """(P, 3) the point between them."""
    desks: torch.Tensor
    """(P,) height of their desk."""

    @staticmethod
    @cache
    def load(device: str) -> "People":
        with safe_open(ASSET, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in People.__slots__}
        return People(**{name: (t.long() if name == "faces" else t.float()).to(device) for name, t in tensors.items()})


class SyntheticPeople(NamedTuple):
    """N people, each rendered alone."""

    layers: torch.Tensor
    """(N, 4, S, S) linear light times coverage, and coverage."""
    joints: torch.Tensor
    """(N, 2, 21, 2) px, right and left hand."""
    seen: torch.Tensor
    """(N, 2, 21) 1 where nothing hides the joint, within the picture."""
    heads: torch.Tensor
    """(N, 2) px, the point between the eyes; far outside for who wears the camera."""


class PeopleRenderer:
    """Renders batches of people; deterministic by seed on one kind of device."""

    def __init__(self, size: int, seed: int, device: torch.device | str = "cpu", texture: int = 0):
        """Pictures of `size` px, divisible by 4; `texture` as in `hand.synth.appearance.Appearance`."""
        self.size, self.device, self._texture = size, torch.device(device), texture
        self.generator = torch.Generator(device=self.device).manual_seed(seed)
        self._people = People.load(str(self.device))
        self._hand = HandModel.load(device)
        hand, body = self._hand.faces, self._people.faces
        desk, things = desk_faces(self.device)
        first = len(self._people.rest)
        second = first + len(self._hand.vertices)
        third = second + len(self._hand.vertices)
        fourth = third + int(desk.max()) + 1
        faces = [body, hand + first, hand.flip(1) + second, desk + third, things + fourth]
        self._faces = torch.cat(faces)
        counts = torch.tensor([len(part) for part in faces], device=device)
        self._owner = torch.repeat_interleave(counts)
        """(F,) what each face belongs to: `BODY`, the hands, `DESK` or `THING`."""
        self._first_thing = len(self._faces) - len(things)
        skin = torch.cat([self._hand.vertices, *(values[:, None] for values in self._hand.regions.values())], 1)
        self._surface = torch.zeros(fourth + int(things.max()) + 1, 3 + len(SKIN_REGIONS) + 5, device=device)
        """(V, ·) place on the hand or body at rest, the hand's regions, the body's parts, how far along a limb."""
        self._surface[:first, :3] = self._people.rest
        self._surface[:first, -5:] = torch.cat([self._people.parts, self._people.limb[:, None]], 1)
        self._surface[first:third, : skin.shape[1]] = skin.repeat(HANDS, 1)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.device)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    @torch.no_grad()
    def draw(self, n: int) -> SyntheticPeople:
        people, pick = self._people, (self._uniform(n) * len(self._people.bodies)).long()
        kind = (self._uniform(n, 1) * 3).long()
        worn = kind[:, 0] == 2
        joints, hands = self._hands(pick)
        body = self._hair(people.bodies[pick], worn)
        desk, things = sample_desks(people.desks[pick], self.generator)
        vertices = torch.cat([body, *hands.unbind(1), desk, things], 1)
        rotation, origin, focal = self._cameras(pick, kind, joints)

        def seen(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            turned = (points - origin[:, None]) @ rotation.transpose(1, 2)
            pixels = turned[..., :2] / turned[..., 2:].clamp_min(1e-3) * focal[:, None, None] + (self.size - 1) / 2
            return turned, pixels

        turned, pixels = seen(vertices)
        fragments = rasterise(pixels, turned[..., 2], self._faces, (self.size, self.size), 2)
        layers = self._shade(fragments, turned)
        shown = torch.stack([fragments.depth, self._owner[fragments.face].float()], 1)
        points, spots = seen(joints.flatten(1, 2))
        in_sight = _in_sight(fragments.dense(shown, 1e3), points[..., 2], spots).unflatten(1, (HANDS, JOINTS))
        heads = torch.where(worn[:, None], torch.full_like(spots[:, 0], -1e4), seen(people.eyes[pick, None])[1][:, 0])
        return SyntheticPeople(layers, spots.unflatten(1, (HANDS, JOINTS)), in_sight, heads)

    def _hands(self, pick: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Joints (N, 2, 21, 3) and skin (N, 2, V, 3) of both hands, body axes."""
        people, n = self._people, len(pick)
        pose, _ = sample_poses(HANDS * n, self.generator, self._hand)
        hand = self._hand.pose(self._normal(n, self._hand.components).repeat_interleave(HANDS, 0), pose)
        # A hand's own axes stay; its forearm turns. Here the forearm is given.
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
        """R_camera_from_body (N, 3, 3), places (N, 3) and focal lengths (N,) px: before, above or worn by the person."""
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
        # What is to be seen at the target's distance: 0.8 to 1.6 m.
        span = 0.8 + 0.8 * self._uniform(n)
        return rotation, place, self.size * (target - place).norm(dim=1) / span

    def _shade(self, fragments: Fragments, turned: torch.Tensor) -> torch.Tensor:
        """(N, 4, S, S) layers of vertices `turned` (N, V, 3), camera axes."""
        n = len(turned)
        normals = vertex_normals(turned, self._faces)
        position, normal = fragments.interpolate(torch.cat([turned, normals], -1), self._faces).split(3, 1)
        owner, image = self._owner[fragments.face], fragments.image
        surface = fragments.interpolate(self._surface, self._faces)
        outfits = sample_outfits(n, THINGS, self.generator, self.device, self._texture)
        regions = {name: surface[:, 3 + k : 4 + k] for k, name in enumerate(SKIN_REGIONS)}
        colour, skin, gloss = albedo(outfits.look, image, surface[:, :3], regions, self._hand.joints)
        mine = (owner == BODY).nonzero()[:, 0]
        parts, limb = surface[mine, -5:].split((4, 1), 1)
        colour[mine], skin[mine], gloss[mine] = body_surface(
            outfits, image[mine], surface[mine, :3], parts.argmax(1), limb[:, 0], self._hand.joints
        )
        mine = (owner == DESK).nonzero()[:, 0]
        colour[mine], skin[mine] = outfits.desk[image[mine]], 0.0
        mine = (owner == THING).nonzero()[:, 0]
        colour[mine] = thing_colour(
            outfits.things, image[mine], fragments.face[mine] - self._first_thing, fragments.weights[mine]
        )
        skin[mine] = 0.0
        lights = sample_lights(n, self.generator, self.device)
        sky = _crevices(fragments)
        light = shade(lights, gloss, image, normalize(normal, dim=1), position, colour, skin, sky, sky)
        coverage = fragments.coverage[:, None]
        return fragments.dense(torch.cat([light * coverage, coverage], 1)).permute(0, 3, 1, 2)


def _crevices(fragments: Fragments) -> torch.Tensor:
    """(K,) light that is left where a surface lies a little deeper than what is around it."""
    n, height, width = fragments.shape
    depth = fragments.dense(fragments.depth[:, None]).view(n, 1, height, width)
    mean, covered = box_blur(torch.cat([depth, (depth > 0).to(depth.dtype)], 1), height // 16).split(1, 1)
    hidden = ((depth - mean / covered.clamp_min(1e-6)) / 0.25).clamp(0, 0.5)
    return 1 - hidden.flatten()[fragments.cell]


def _in_sight(front: torch.Tensor, depth: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """(N, 42) 1 where both hands' joints at `pixels` (N, 42, 2) and `depth` (N, 42) are in the picture and not hidden.

    `front` (N, S, S, 2) is the depth and the owner of what stands first. A hand does not hide itself: a fist is all there.
    """
    side = front.shape[1]
    spot = pixels.round().long()
    within = ((spot >= 0) & (spot < side)).all(-1) & (depth > 0.05)
    spot = spot.clamp(0, side - 1)
    place = spot[..., 1] * side + spot[..., 0]
    nearest, owner = (front[..., k].flatten(1).gather(1, place) for k in range(2))
    own = owner == torch.arange(RIGHT, LEFT + 1, device=owner.device).repeat_interleave(JOINTS)
    return (within & (own | (depth < nearest + THICKNESS))).float()
