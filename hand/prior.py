"""Pose prior of the hand: joint limits, named pose families, and interpolation between them with synergies.

Angles are degrees here and radians in `HandPose`. Ranges of motion follow the American Academy of Orthopaedic
Surgeons' normal values (fingers: MCP −20…90, PIP 0…100, DIP 0…80), slightly widened, since they vary between people.
"""

import math

import torch

from hand.joints import FINGERS
from hand.model import HandModel, HandPose

FLEX_LIMITS = ((-25.0, 95.0), (-8.0, 112.0), (-8.0, 85.0))
"""Fingers: MCP, PIP, DIP."""
THUMB_FLEX_LIMITS = ((-25.0, 45.0), (-25.0, 45.0), (-35.0, 70.0))
"""CMC, MCP, IP, from the rest pose."""

# Each family: (MCP, PIP) flexion of index, middle, ring, little; then the thumb's CMC, MCP, IP flexion, spread and twist.
_STRAIGHT, _CURLED = (2.0, 4.0), (82.0, 98.0)
_THUMB_OUT, _THUMB_IN, _THUMB_REST = (-15.0, -10.0, -10.0, 22.0, 0.0), (22.0, 28.0, 38.0, -12.0, 12.0), (0.0, 0.0, 0.0, 0.0, 0.0)
_THUMB_OPPOSED = (20.0, 8.0, 10.0, 5.0, 22.0)


def _count(*raised: int) -> tuple[tuple[float, float], ...]:
    return tuple(_STRAIGHT if k in raised else _CURLED for k in range(4))


FAMILIES: dict[str, tuple[tuple[tuple[float, float], ...], tuple[float, ...]]] = {
    "open": (((0, 2),) * 4, _THUMB_OUT),
    "flat": (((5, 5),) * 4, (5.0, 0.0, 0.0, -18.0, 0.0)),
    "rest": (((25, 30), (30, 33), (33, 35), (36, 35)), _THUMB_REST),
    "fist": ((_CURLED,) * 4, _THUMB_IN),
    "point": (_count(0), _THUMB_IN),
    "loose_point": (((15, 12), (50, 70), (55, 75), (58, 72)), (8.0, 12.0, 15.0, 0.0, 8.0)),
    "two": (_count(0, 1), _THUMB_IN),
    "three": (_count(0, 1, 2), _THUMB_IN),
    "four": (_count(0, 1, 2, 3), _THUMB_IN),
    "little": (_count(3), _THUMB_IN),
    "horns": (_count(0, 3), _THUMB_IN),
    "gun": (_count(0), _THUMB_OUT),
    "shaka": (_count(3), _THUMB_OUT),
    "thumb_up": ((_CURLED,) * 4, _THUMB_OUT),
    "pinch": (((48, 48), (15, 20), (12, 18), (10, 15)), _THUMB_OPPOSED),
    "pinch_closed": (((52, 52), (58, 60), (62, 62), (65, 60)), _THUMB_OPPOSED),
    "grip": (((45, 50), (48, 52), (50, 52), (52, 50)), (12.0, 8.0, 15.0, 5.0, 20.0)),
    "wide_grip": (((25, 32), (26, 34), (28, 34), (30, 32)), (5.0, 0.0, 8.0, 15.0, 20.0)),
    "hook": (((5, 88), (5, 92), (5, 92), (8, 85)), _THUMB_REST),
    "claw": (((-10, 60), (-8, 62), (-8, 62), (-5, 60)), _THUMB_OUT),
    "roof": (((75, 8), (76, 8), (76, 8), (76, 8)), _THUMB_REST),
}


def _templates(device: torch.device) -> torch.Tensor:
    """(families, 13): 4 × (MCP, PIP), then the thumb's 5."""
    rows = [[angle for finger in fingers for angle in finger] + list(thumb) for fingers, thumb in FAMILIES.values()]
    return torch.tensor(rows, dtype=torch.float32, device=device)


def family_pose(families: list[int], model: HandModel) -> HandPose:
    """The families' template poses, with a straight wrist; `families` are indices into FAMILIES."""
    angles = _templates(model.joints.device)[families]
    mcp, pip = angles[:, 0:8:2], angles[:, 1:8:2]
    flex = torch.cat([angles[:, None, 8:11], torch.stack([mcp, pip, pip * 0.62], -1)], 1)
    zero = torch.zeros_like(mcp)
    spread, twist = torch.cat([angles[:, 11:12], zero], 1), torch.cat([angles[:, 12:13], zero], 1)
    radians = math.pi / 180
    return HandPose(flex * radians, spread * radians, twist * radians, torch.zeros(len(angles), 3, device=angles.device))


def sample_poses(n: int, generator: torch.Generator, model: HandModel) -> tuple[HandPose, torch.Tensor]:
    """`n` poses and the family (n,) that each is nearest to, an index into FAMILIES.

    A pose is an interpolation between two families, with independent variation of each finger; a tenth are uniform within the
    limits. Of three candidates the one with the least self-collision is taken.
    """
    tries = 3
    pose, family = _propose(n * tries, generator, model.joints.device)
    shape = torch.zeros(n * tries, model.components, device=model.joints.device)
    cost = _collision(model.pose_joints(shape, pose)).view(n, tries)
    best = cost.argmin(1) + torch.arange(n, device=cost.device) * tries
    return HandPose(pose.flex[best], pose.spread[best], pose.twist[best], pose.wrist[best]), family[best]


def _propose(n: int, generator: torch.Generator, device: torch.device) -> tuple[HandPose, torch.Tensor]:
    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(n, *shape, generator=generator, device=device)

    templates = _templates(device)
    first = torch.randint(len(templates), (n,), generator=generator, device=device)
    second = torch.randint(len(templates), (n,), generator=generator, device=device)
    # Squared, so that most poses stay near a family.
    mix = uniform(1) ** 2 * 0.5
    own_mix = (mix + 0.25 * uniform(5) * (uniform(1) < 0.35)).clamp(0, 1)
    expand = own_mix[:, [1, 1, 2, 2, 3, 3, 4, 4, 0, 0, 0, 0, 0]]
    angles = templates[first] * (1 - expand) + templates[second] * expand
    angles = angles + normal(13) * torch.tensor([9.0, 10.0] * 4 + [8.0, 9.0, 12.0, 7.0, 7.0], device=device)

    free = uniform(1) < 0.1
    span = torch.tensor(
        [[-20.0, 90.0], [0.0, 105.0]] * 4 + [[-20, 40], [-20, 40], [-25, 60], [-25, 25], [-15, 30]], device=device
    )
    angles = torch.where(free, span[:, 0] + uniform(13) * (span[:, 1] - span[:, 0]), angles)

    mcp, pip = angles[:, 0:8:2], angles[:, 1:8:2]
    # The DIP follows the PIP (two thirds, one tendon), unless something presses on the finger tip.
    dip = pip * (0.62 + 0.12 * normal(4)) + normal(4) * 5
    pressed = (uniform(4) < 0.08) & (pip > 20)
    dip = torch.where(pressed, -5 + 10 * uniform(4), dip)
    fingers = torch.stack([mcp, pip, dip], -1)
    low, high = (torch.tensor(x, device=device) for x in zip(*FLEX_LIMITS, strict=True))
    fingers = fingers.clamp(low, high)
    low, high = (torch.tensor(x, device=device) for x in zip(*THUMB_FLEX_LIMITS, strict=True))
    thumb = angles[:, 8:11].clamp(low, high)
    flex = torch.cat([thumb[:, None], fingers], 1)

    # Straight fingers spread or close together; flexion reduces the range of spread.
    fan = (normal(1) * 0.7) * torch.tensor([8.0, 2.0, -4.0, -9.0], device=device) + normal(4) * 3.5
    room = 1 - mcp.clamp(0, 90) / 110
    spread = torch.cat([angles[:, 11:12].clamp(-32, 32), fan * room], 1)
    twist = torch.cat([angles[:, 12:13].clamp(-22, 35), normal(4) * 4], 1)
    wrist = normal(3) * torch.tensor([28.0, 11.0, 18.0], device=device)
    wrist = wrist.clamp(*(torch.tensor(x, device=device) for x in ((-75.0, -30.0, -45.0), (75.0, 30.0, 45.0))))
    radians = math.pi / 180
    return HandPose(flex * radians, spread * radians, twist * radians, wrist * radians), first


def _collision(joints: torch.Tensor) -> torch.Tensor:
    """(N,) penetration depth of the fingers of (N, 21, 3) unit hands into each other and into the palm."""
    points, owner = [], []
    for number, chain in enumerate(FINGERS.values()):
        first = 1 if number else 0
        for k in range(first, 3):
            a, b = joints[:, chain[k]], joints[:, chain[k + 1]]
            points += [a + (b - a) * share for share in (0.25, 0.6, 1.0)]
            owner += [number] * 3
    cloud = torch.stack(points, 1)
    who = torch.tensor(owner, device=joints.device)
    distance = torch.cdist(cloud, cloud)
    other = who[:, None] < who[None, :]
    between = ((0.15 - distance).clamp_min(0) * other).sum((1, 2))
    # The palm is a slab under the metacarpals.
    x, y, z = cloud.unbind(-1)
    inside = (z > -0.11) & (z < 0.18) & (y > 0.1) & (y < 0.8) & (x.abs() < 0.36) & (who > 0)
    return between + (inside * (z + 0.11).clamp(0, 0.2)).sum(1)
