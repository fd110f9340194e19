"""Sampling of objects: held ones in contact with the hand's surface, others before and behind it."""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from hand.joints import DEFAULT_HAND_SIZE_MM, FINGER_MCPS, FINGERS, WRIST
from hand.synth.appearance import linear
from hand.synth.objects import SceneObjects
from hand.synth.superquadrics import Superquadrics

HELD, BEFORE, BEHIND = 0.32, 0.1, 0.3
"""Probabilities of an object in the hand, one in front of it, and each of two behind it."""
TRIES = 28
"""Placements of a held object that are tried."""
_SLOTS = 5
"""Bodies per image: the held object and its second part, one in front, two behind."""

# Least and largest half axes in mm, exponents, and the probability of a second part along its axis.
_KINDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float], float]] = {
    "can": ((28, 28, 45), (40, 40, 75), (2, 10), 0.1),
    "bottle": ((28, 28, 70), (38, 38, 95), (2, 6), 0.9),
    "ball": ((20, 20, 20), (42, 42, 42), (2, 2), 0.0),
    "fruit": ((20, 24, 26), (38, 42, 60), (2, 2.5), 0.0),
    "box": ((15, 25, 35), (45, 60, 90), (10, 10), 0.0),
    "phone": ((3, 30, 65), (6, 42, 85), (8, 10), 0.0),
    "card": ((1.5, 25, 40), (3, 60, 110), (10, 10), 0.0),
    "pen": ((3.5, 3.5, 60), (6, 6, 85), (2, 8), 0.2),
    "handle": ((10, 12, 45), (19, 22, 75), (3, 5), 0.8),
    "rod": ((8, 8, 100), (18, 18, 200), (2, 12), 0.0),
    "mouse": ((16, 28, 48), (22, 36, 62), (3, 3), 0.0),
    "bowl": ((45, 45, 18), (75, 75, 35), (2, 4), 0.0),
}

# Radius of a finger at its joints from the base outwards, as measured on the rest hand, and factors of ring and little finger;
# radius of the palm, and distance of its middle from the bones towards its inner side; unit hands.
_FINGER_RADII, _THUMB_RADII = (0.115, 0.108, 0.09, 0.06), (0.17, 0.125, 0.1, 0.06)
_SLENDER = (1.0, 1.0, 1.0, 0.92, 0.8)
_PALM_RADIUS, _PALM_SHIFT = 0.14, 0.05


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Shapes of M objects, without a position."""

    half: torch.Tensor
    """(M, 3) half axes, unit hands; the longest is the last, except for flat round shapes."""
    power: torch.Tensor
    """(M, 2) exponents."""
    second: torch.Tensor
    """(M,) bool: the object has a second part along its axis."""


def hand_spheres(joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spheres that approximate a hand (N, 21, 3): centres (N, J, 3), radii (J,), and the finger of each (J,), 5 for the palm."""
    centres, radii, owners = [], [], []
    across = normalize(joints[:, FINGER_MCPS[0]] - joints[:, FINGER_MCPS[-1]], dim=1)
    for number, chain in enumerate(FINGERS.values()):
        sizes = _FINGER_RADII if number else _THUMB_RADII
        for k in range(3):
            a, b = joints[:, chain[k]], joints[:, chain[k + 1]]
            for share in (0.33, 0.67, 1.0):
                centres.append(a + (b - a) * share)
                radii.append((sizes[k] + (sizes[k + 1] - sizes[k]) * share) * _SLENDER[number])
                owners.append(number)
        for share in (0.35, 0.7, 1.0) if number else (0.5,):
            bone = joints[:, chain[0]] - joints[:, WRIST]
            palmar = normalize(torch.linalg.cross(across, bone), dim=1)
            centres.append(joints[:, WRIST] + (bone + palmar * _PALM_SHIFT) * share)
            radii.append(_PALM_RADIUS)
            owners.append(5)
    device = joints.device
    return torch.stack(centres, 1), torch.tensor(radii, device=device), torch.tensor(owners, device=device)


class ObjectSampler:
    """Samples objects around hands; all randomness comes from one generator."""

    def __init__(self, generator: torch.Generator, device: torch.device):
        self._generator, self._device = generator, device
        low, high, power, second = zip(*_KINDS.values(), strict=True)
        self._low, self._high = (torch.tensor(v, device=device) / DEFAULT_HAND_SIZE_MM for v in (low, high))
        self._power, self._second = torch.tensor(power, device=device), torch.tensor(second, device=device)

    def _uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._device)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self._generator, device=self._device)

    def sample(self, joints: torch.Tensor, focal: torch.Tensor, side: int) -> SceneObjects:
        """Objects for N hands: `joints` (N, 21, 3) camera axes, unit hands; cameras of `focal` (N,) px and `side` px."""
        n = len(joints)
        bodies = _placeholders(n * _SLOTS, self._device)
        exists = torch.zeros(n, _SLOTS, dtype=torch.bool, device=self._device)
        held = (self._uniform(n) < HELD).nonzero()[:, 0]
        if len(held):
            placed, second, good = self._held(joints[held])
            _assign(bodies, held * _SLOTS, placed)
            _assign(bodies, held * _SLOTS + 1, _second_part(placed, self._uniform(len(held), 4)))
            exists[held, 0], exists[held, 1] = good, good & second
        share = torch.tensor([BEFORE, BEHIND, BEHIND], device=self._device)
        loose = (self._uniform(n, 3) < share).nonzero()
        if len(loose):
            number, slot = loose.unbind(1)
            _assign(bodies, number * _SLOTS + 2 + slot, self._loose(joints[number], focal[number], side, slot == 0))
            exists[number, slot + 2] = True
        return self._with_materials(bodies, exists)

    def _shapes(self, n: int) -> _Shapes:
        kind = (self._uniform(n) * len(self._low)).long()
        half = self._low[kind] + (self._high - self._low)[kind] * self._uniform(n, 3)
        # Round cross-sections stay round.
        round_ = (self._low[kind, 0] == self._low[kind, 1])[:, None]
        half = torch.where(round_, half[:, [0, 0, 2]], half)
        return _Shapes(half, self._power[kind], self._uniform(n) < self._second[kind])

    def _held(self, joints: torch.Tensor) -> tuple[Superquadrics, torch.Tensor, torch.Tensor]:
        """An object for each of M hands, which of them have a second part (M,), and which placements succeeded (M,).

        Of `TRIES` placements, each moved into contact with the hand, the one with most fingers in contact and least
        penetration is taken.
        """
        m = len(joints)
        shapes = self._shapes(m)
        centre, turn = self._proposals(joints)
        tried = Superquadrics(
            turn.flatten(0, 1),
            centre.flatten(0, 1),
            shapes.half.repeat_interleave(TRIES, 0),
            shapes.power.repeat_interleave(TRIES, 0),
        )
        spheres, radii, owner = hand_spheres(joints)
        spheres = spheres.repeat_interleave(TRIES, 0)
        for _ in range(2):
            tried = _moved_to_contact(tried, spheres, radii)
        room = tried.distance(spheres) - radii
        deepest = (-room.amin(1)).clamp_min(0)
        touched = torch.stack([((room < 0.06) & (owner == k)).any(1) for k in range(6)], 1).float()
        # Most grasps oppose the thumb to the other fingers.
        score = touched @ touched.new_tensor([2.0, 1, 1, 1, 1, 0.5]) - 40 * (deepest - 0.03).clamp_min(0)
        score, best = score.view(m, TRIES).max(1)
        best = best + torch.arange(m, device=best.device) * TRIES
        return tried[best], shapes.second, (score >= 2) & (deepest[best] < 0.09)

    def _proposals(self, joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Centres (M, TRIES, 3) and R_body_from_camera (M, TRIES, 3, 3) to try: in the palm, or between thumb and fingertips."""
        m = len(joints)
        across = normalize(joints[:, FINGER_MCPS[0]] - joints[:, FINGER_MCPS[-1]], dim=1)
        knuckles = joints[:, FINGER_MCPS].mean(1)
        up = normalize(knuckles - joints[:, WRIST], dim=1)
        inwards = normalize(torch.linalg.cross(across, up), dim=1)
        tips = joints[:, [8, 12, 16, 20]]
        pick = (self._uniform(m, TRIES) ** 2 * 4).long()
        fingertip = tips.gather(1, pick[..., None].expand(-1, -1, 3))
        pinch = (joints[:, 4:5] + fingertip) / 2
        depth = 0.15 + 0.5 * self._uniform(m, TRIES, 1)
        palm = torch.lerp(joints[:, WRIST, None], knuckles[:, None], 0.55 + 0.5 * self._uniform(m, TRIES, 1))
        palm = palm + inwards[:, None] * depth
        in_palm = self._uniform(m, TRIES, 1) < 0.55
        wide = self._normal(m, TRIES, 3)
        # Along the palm's width in a power grip; in any direction between the fingertips.
        long = torch.where(in_palm, across[:, None] + up[:, None] * 0.35 * self._normal(m, TRIES, 1) + 0.15 * wide, wide)
        centre = torch.where(in_palm, palm, pinch) + 0.06 * self._normal(m, TRIES, 3)
        thin = torch.where(in_palm, inwards[:, None].expand_as(wide), joints[:, 4:5] - fingertip)
        turn = _frame(long, thin + 0.2 * self._normal(m, TRIES, 3))
        # Held near an end as often as in the middle.
        slide = (self._uniform(m, TRIES, 1) - 0.5) * torch.where(in_palm, 0.3, 1.0)
        return centre + turn[:, :, 2] * slide, turn

    def _loose(self, joints: torch.Tensor, focal: torch.Tensor, side: int, before: torch.Tensor) -> Superquadrics:
        """A body in each of M images, in front of the hand where `before` (M,), else behind it."""
        m = len(joints)
        shapes = self._shapes(m)
        depth = joints[..., 2]
        near, far = depth.amin(1), depth.amax(1)
        behind = far + 0.3 + 3 * self._uniform(m) ** 2
        away = torch.where(before, (near - 0.25 - 1.2 * self._uniform(m)).clamp_min(0.7), behind)
        # In front, off the centre, so that it does not hide the whole hand; behind, anywhere.
        angle, reach = self._uniform(m) * 2 * torch.pi, 0.3 + 0.4 * self._uniform(m)
        reach = torch.where(before, reach, self._uniform(m)) * side / focal
        ray = torch.stack([angle.cos() * reach, angle.sin() * reach, torch.ones_like(angle)], 1)
        turn = _frame(self._normal(m, 1, 3), self._normal(m, 1, 3))[:, 0]
        half = shapes.half * torch.where(before, 0.4 + 0.5 * self._uniform(m), 0.7 + 1.8 * self._uniform(m))[:, None]
        # Bodies behind the hand stay behind it, whatever their length.
        centre = ray * (away + torch.where(before, -1.0, 1.0) * half.norm(dim=1) * 0.7)[:, None].clamp_min(0.6)
        return Superquadrics(turn, centre, half, shapes.power)

    def _with_materials(self, bodies: Superquadrics, exists: torch.Tensor) -> SceneObjects:
        """The bodies with random colours, highlights and prints."""
        rows = exists.numel()
        level, hue = self._uniform(rows, 1), self._uniform(rows, 3)
        # Many objects are white, grey or black, some are brightly coloured.
        colour = linear(torch.lerp(level.expand(-1, 3), hue, self._uniform(rows, 1) ** 1.5)).clamp(0.01, 0.9)
        gloss = torch.stack([0.6 * self._uniform(rows) ** 2, 8 + 90 * self._uniform(rows) ** 2], 1)
        printed = (self._uniform(rows) < 0.45).float() * (0.4 + 0.6 * self._uniform(rows))
        return SceneObjects(bodies, exists, colour, printed, gloss)


def _placeholders(rows: int, device: torch.device) -> Superquadrics:
    """`rows` bodies behind the camera, for slots without an object."""
    ones = torch.ones(rows, 3, device=device)
    return Superquadrics(torch.eye(3, device=device).repeat(rows, 1, 1), -10 * ones, 0.1 * ones, 2 * ones[:, :2].clone())


def _assign(bodies: Superquadrics, rows: torch.Tensor, placed: Superquadrics) -> None:
    """Overwrite `rows` of `bodies`."""
    for name in Superquadrics.__slots__:
        getattr(bodies, name)[rows] = getattr(placed, name)


def _frame(long: torch.Tensor, thin: torch.Tensor) -> torch.Tensor:
    """(M, T, 3, 3) rotations whose rows are x, near `thin`, y, and z along `long` (M, T, 3)."""
    z = normalize(long, dim=-1)
    x = normalize(thin - (thin * z).sum(-1, keepdim=True) * z, dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -2)


def _moved_to_contact(bodies: Superquadrics, spheres: torch.Tensor, radii: torch.Tensor) -> Superquadrics:
    """The bodies, each moved along the normal to the sphere that is nearest or deepest in it, until the two touch."""
    room, nearest = (bodies.distance(spheres) - radii).min(1)
    ball = spheres.gather(1, nearest[:, None, None].expand(-1, 1, 3))[:, 0]
    shift = room.clamp(-0.3, 0.3)[:, None] * bodies.normals(ball)
    return Superquadrics(bodies.turn, bodies.centre + shift, bodies.half, bodies.power)


def _second_part(first: Superquadrics, random: torch.Tensor) -> Superquadrics:
    """A neck, blade or head at the end of each body; `random` (M, 4) in [0, 1]."""
    wide, thin, long, sign = random.unbind(1)
    half = first.half * torch.stack([0.15 + 0.3 * thin, 0.3 + 1.1 * wide, 0.25 + 0.9 * long], 1)
    # Round bodies have round necks.
    round_ = (first.half[:, 0] == first.half[:, 1])[:, None]
    half = torch.where(round_, half[:, [0, 0, 2]] * half.new_tensor([1.3, 1.3, 0.4]), half)
    along = torch.where(sign < 0.5, -1.0, 1.0) * (first.half[:, 2] + half[:, 2]) * 0.98
    return Superquadrics(first.turn, first.centre + first.turn[:, 2] * along[:, None], half, first.power)
