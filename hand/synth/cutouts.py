"""Cut-outs for compositing: hands with their forearms, and whole people, each rendered alone."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, normalize

from hand.joints import JOINTS, WRIST
from hand.model import HandModel
from hand.prior import sample_poses
from hand.synth.aim import random_rotations, turn_to_axis
from hand.synth.appearance import linear, sample_appearance
from hand.synth.crops import PRINT_SIDE
from hand.synth.grasps import ObjectSampler
from hand.synth.light import sample_lights
from hand.synth.people import HANDS, PeopleRenderer
from hand.synth.render import render, render_objects

SIZE = 144
"""Side of a cut-out in px, divisible by 4."""
LEVELS = 3
PEOPLE_SIZE = 160
"""Side of an image of people in px; a scene shows a part of one."""


@dataclass(frozen=True, slots=True)
class ArmEnds:
    """Ends of the arms of N cut-outs, where scenes continue them: at the elbow, or where the forearm leaves the cut-out."""

    place: torch.Tensor
    """(N, 2) px."""
    direction: torch.Tensor
    """(N, 2) unit, away from the hand."""
    radius: torch.Tensor
    """(N,) px."""
    colour: torch.Tensor
    """(N, 3) linear light."""
    elbow: torch.Tensor
    """(N,) bool."""

    def __getitem__(self, pick: torch.Tensor) -> "ArmEnds":
        return ArmEnds(*(getattr(self, name)[pick] for name in ArmEnds.__slots__))


class SyntheticCutOuts(NamedTuple):
    """N hands with their forearms, rendered alone, many with objects in them or around them."""

    layers: torch.Tensor
    """(N, 4, SIZE, SIZE) linear light times coverage, and coverage."""
    bare: torch.Tensor
    """(N, 4, SIZE, SIZE) the same without the objects."""
    joints: torch.Tensor
    """(N, 21, 2) px."""
    elbows: torch.Tensor
    """(N, 2) px; may lie beyond the cut-out."""
    free: torch.Tensor
    """(N,) share of the joints that no object occludes."""


def render_cutouts(n: int, generator: torch.Generator, device: torch.device) -> SyntheticCutOuts:
    """Hands from all sides; a hand takes about a third of its cut-out, and most of the forearm is in it."""
    model = HandModel.load(device)
    pose, _ = sample_poses(n, generator, model)
    hand = model.pose(torch.randn(n, model.components, generator=generator, device=device), pose)
    rest = model.vertices[:, 1]
    elbow = hand.vertices[:, rest < rest.amin() + 0.05].mean(1, keepdim=True)
    rotation = random_rotations(n, generator, device)
    middle = (hand.joints.amin(1) + hand.joints.amax(1)) / 2
    # Farther than for crops, since a forearm that points at the camera must end in front of it.
    distance = 4.8 * (14 / 4.8) ** torch.rand(n, generator=generator, device=device)
    origin = -(rotation @ middle[..., None])[..., 0]
    origin[:, 2] += distance
    flat = _flat(hand.joints @ rotation.transpose(1, 2) + origin[:, None])
    turn = turn_to_axis(torch.cat([(flat.amin(1) + flat.amax(1)) / 2, torch.ones_like(flat[:, 0, :1])], 1))
    rotation, origin = turn @ rotation, (turn @ origin[..., None])[..., 0]
    joints, vertices, elbow = (p @ rotation.transpose(1, 2) + origin[:, None] for p in (hand.joints, hand.vertices, elbow))
    flat = _flat(joints)
    extent = (flat.amax(1) - flat.amin(1)).amax(1)
    focal = SIZE / (2.5 + 1.5 * torch.rand(n, generator=generator, device=device)) / extent

    def pixels(points: torch.Tensor) -> torch.Tensor:
        return _flat(points) * focal[:, None, None] + (SIZE - 1) / 2

    appearance, lights = sample_appearance(n, generator, device), sample_lights(n, generator, device)
    objects = ObjectSampler(generator, device).sample(joints, focal, SIZE)
    rendered = render(model, vertices, pixels(vertices), (SIZE, SIZE), appearance, lights, objects=objects)
    prints = linear(interpolate(torch.rand(n, 3, 5, 5, generator=generator, device=device), size=PRINT_SIDE))
    layer = render_objects(objects, joints, focal, SIZE, lights, rendered.shadow, prints)
    light, _ = layer.composite(rendered.light, rendered.alpha, rendered.depth, torch.zeros_like(rendered.light))
    alpha = 1 - (1 - rendered.alpha) * (1 - layer.alpha)
    bare = torch.cat([rendered.light * rendered.alpha, rendered.alpha], 1)
    places = pixels(joints)
    spot = places.round().long().clamp(0, SIZE - 1)
    before = layer.depth.flatten(1).gather(1, spot[..., 1] * SIZE + spot[..., 0]) < joints[..., 2]
    return SyntheticCutOuts(torch.cat([light, alpha], 1), bare, places, pixels(elbow)[:, 0], 1 - before.float().mean(1))


def _flat(points: torch.Tensor) -> torch.Tensor:
    """(N, ·, 2) of points (N, ·, 3) in camera axes at depth 1."""
    return points[..., :2] / points[..., 2:].clamp_min(1e-3)


def arm_ends(layers: torch.Tensor, joints: torch.Tensor, elbow: torch.Tensor) -> ArmEnds:
    """Arm ends of hands that `render_cutouts` rendered without objects; width and colour are read a little before the end."""
    wrist = joints[:, WRIST]
    along = elbow - wrist
    direction = normalize(along + 1e-3, dim=1)
    room = torch.where(along > 0, SIZE - 4 - wrist, wrist - 3).clamp_min(1) / along.abs().clamp_min(1e-3)
    share = room.amin(1, keepdim=True).clamp_max(1)
    across = torch.stack([-direction[:, 1], direction[:, 0]], 1)
    steps = torch.linspace(-0.25, 0.25, 49, device=along.device) * SIZE
    line = (wrist + along * share * 0.9)[:, None] + across[:, None] * steps[:, None]
    samples = grid_sample(layers, ((2 * line + 1) / SIZE - 1)[:, None], align_corners=False)[:, :, 0]
    covered = samples[:, 3].sum(1)
    extent = (joints.amax(1) - joints.amin(1)).amax(1)
    # The end of an arm that points at the camera is covered by the hand.
    radius = (covered * (steps[1] - steps[0]) / 2).clamp_max(0.3 * extent).clamp_min(1)
    colour = samples[:, :3].sum(2) / covered.clamp_min(0.5)[:, None]
    return ArmEnds(wrist + along * share, direction, radius, colour, share[:, 0] >= 1)


class CutOutBank:
    """Cut-outs in several resolutions; the oldest can be renewed."""

    def __init__(self, count: int, seed: int, device: torch.device | str = "cpu"):
        self.device = torch.device(device)
        self._generator = torch.Generator(device=self.device).manual_seed(seed)
        sides = [SIZE >> level for level in range(LEVELS)]
        self.levels = [torch.zeros(count, 4, side, side, dtype=torch.float16, device=device) for side in sides]
        """Layers (count, 4, S, S), each level half as wide as the one before."""
        self.joints = torch.zeros(count, JOINTS, 2, device=device)
        """(count, 21, 2) px."""
        self.free = torch.zeros(count, device=device)
        """(count,) share of the joints that no object occludes."""
        shapes = {"place": (2,), "direction": (2,), "radius": (), "colour": (3,)}
        ends = {name: torch.zeros(count, *shape, device=device) for name, shape in shapes.items()}
        self.arms = ArmEnds(**ends, elbow=torch.zeros(count, dtype=torch.bool, device=device))
        self._rendered = 0
        while self._rendered < count:
            self.renew(min(16, count - self._rendered))

    def __len__(self) -> int:
        return len(self.joints)

    @torch.no_grad()
    def renew(self, n: int) -> None:
        """Render `n` hands in place of the oldest."""
        cutouts = render_cutouts(n, self._generator, self.device)
        spot = (self._rendered + torch.arange(n, device=self.device)) % len(self)
        ends = arm_ends(cutouts.bare, cutouts.joints, cutouts.elbows)
        for name in ArmEnds.__slots__:
            getattr(self.arms, name)[spot] = getattr(ends, name)
        self.joints[spot], self.free[spot] = cutouts.joints, cutouts.free
        layers = cutouts.layers
        for level in self.levels:
            level[spot] = layers.half()
            layers = avg_pool2d(layers, 2)
        self._rendered += n


class PeopleBank:
    """People, each in one camera; the oldest can be renewed."""

    def __init__(self, count: int, seed: int, device: torch.device | str = "cpu"):
        self._renderer = PeopleRenderer(PEOPLE_SIZE, seed, device)
        self.layers = torch.zeros(count, 4, PEOPLE_SIZE, PEOPLE_SIZE, dtype=torch.float16, device=device)
        """(count, 4, S, S)."""
        self.joints = torch.zeros(count, HANDS, JOINTS, 2, device=device)
        """(count, 2, 21, 2) px, right and left hand."""
        self.visible = torch.zeros(count, HANDS, JOINTS, device=device)
        """(count, 2, 21) 1 where a joint is visible."""
        self.heads = torch.zeros(count, 2, device=device)
        """(count, 2) px, the point between the eyes; far outside for people who wear the camera."""
        self._rendered = 0
        while self._rendered < count:
            self.renew(min(8, count - self._rendered))

    def __len__(self) -> int:
        return len(self.layers)

    def renew(self, n: int) -> None:
        """Render `n` people in place of the oldest."""
        people = self._renderer.render(n)
        spot = (self._rendered + torch.arange(n, device=self.layers.device)) % len(self)
        self.layers[spot] = people.layers.half()
        self.joints[spot], self.visible[spot], self.heads[spot] = people.joints, people.visible, people.heads
        self._rendered += n
