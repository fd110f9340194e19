"""Sampling of crop cameras: in all directions around the hand, aimed at it, rolled until the hand is upright."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch.nn.functional import normalize

from hand.joints import FINGER_MCPS, MIDDLE_MCP, WRIST
from hand.model import axis_angle

BOX_MARGIN = 1.5
"""A hand's box is this many times the longer side of its joints' bounding box; equal to that of `runtime.estimators.tracker`."""
ROLL_JITTER_DEG = 15.0
"""Standard deviation of the fingers' direction about upright, as of a track's roll."""


class CropFraming(Protocol):
    """Where a network wants the crop of a hand, by joints (21, 2) in a picture; `runtime.estimators.framing` has them."""

    @property
    def around(self) -> Literal["joints", "palm"]: ...

    def standing(self, pixels: np.ndarray) -> float:
        """Degrees clockwise from up to the direction in which the hand stands."""
        ...

    def box(self, pixels: np.ndarray, roll_deg: float) -> tuple[np.ndarray, float]:
        """Centre (2,) and side of the square, margin included."""
        ...


@dataclass(frozen=True, slots=True)
class Aim:
    """Poses of crop cameras."""

    rotation: torch.Tensor
    """(N, 3, 3) R_camera_from_hand."""
    origin: torch.Tensor
    """(N, 3) wrist in camera axes, unit hands."""
    focal: torch.Tensor
    """(N,) px."""
    roll: torch.Tensor
    """(N,) radians of the image's clockwise rotation that makes the hand upright."""


def random_rotations(n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """(n, 3, 3) uniformly distributed, from normalised quaternions (Shoemake 1992)."""
    w, x, y, z = normalize(torch.randn(n, 4, generator=generator, device=device), dim=1).unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, 1).unflatten(1, (3, 3))


def about_axis(angle: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) rotations about the optical axis; positive `angle` (N,) turns clockwise in the image."""
    return axis_angle(angle.new_tensor([0.0, 0.0, 1.0]), angle)


def aim(joints: torch.Tensor, size: int, any_roll: float, generator: torch.Generator, framing: CropFraming | None = None) -> Aim:
    """Cameras in all directions, 3 to 14 hands away, turned to the hand's box as by `estimators.crop`, with a small error.

    They are rolled until the hand stands upright, except for a share `any_roll` of them. `framing`: if not given, around the
    joints.
    """
    n, device = len(joints), joints.device
    # Around the joints all hands are framed at once, which a GPU is quicker at.
    palm = None if framing is None or framing.around == "joints" else framing
    margin = BOX_MARGIN if palm is None else 1.0

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=generator, device=device)

    rotation = random_rotations(n, generator, device)
    centre = (rotation @ joints[:, MIDDLE_MCP, :, None])[..., 0]
    distance = 3.2 * (14 / 3.2) ** uniform()
    origin = -centre
    origin[:, 2] += distance

    def projected() -> torch.Tensor:
        points = joints @ rotation.transpose(1, 2) + origin[:, None]
        return points[..., :2] / points[..., 2:].clamp_min(0.2)

    def turned(turn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return turn @ rotation, (turn @ origin[..., None])[..., 0]

    upright = -(_standing(projected()) if palm is None else _standing_by(palm, projected()))
    upright = upright + torch.randn(n, generator=generator, device=device) * math.radians(ROLL_JITTER_DEG)
    roll = torch.where(uniform() < any_roll, torch.zeros_like(upright), upright)
    rotation, origin = turned(about_axis(roll))
    extent = joints.new_ones(n)
    for last in (False, True):
        middle, extent = _bounds(projected()) if palm is None else _boxes_by(palm, projected())
        if last:
            shift = (torch.randn(n, 2, generator=generator, device=device) * 0.07).clamp(-0.2, 0.2)
            middle = middle + shift * extent[:, None] * margin
        rotation, origin = turned(turn_to_axis(torch.cat([middle, torch.ones_like(middle[:, :1])], 1)))
    box = (extent * margin * (0.82 + 0.5 * uniform())).clamp_min(0.02)
    return Aim(rotation, origin, size / box, roll)


def _standing(flat: torch.Tensor) -> torch.Tensor:
    """(N,) radians clockwise from up to the direction from the wrist to the fingers' knuckles, of joints (N, 21, 2)."""
    up = flat[:, FINGER_MCPS].mean(1) - flat[:, WRIST]
    return torch.atan2(up[:, 0], -up[:, 1])


def _bounds(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Middles (N, 2) and longer sides (N,) of the bounding boxes of joints (N, 21, 2)."""
    low, high = flat.amin(1), flat.amax(1)
    return (low + high) / 2, (high - low).amax(1)


def _standing_by(framing: CropFraming, flat: torch.Tensor) -> torch.Tensor:
    """As `_standing`."""
    return torch.deg2rad(flat.new_tensor([framing.standing(pixels) for pixels in flat.double().cpu().numpy()]))


def _boxes_by(framing: CropFraming, flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Middles (N, 2) and sides (N,) of crops as they stand."""
    middles, sides = zip(*(framing.box(pixels, 0.0) for pixels in flat.double().cpu().numpy()), strict=True)
    return flat.new_tensor(np.array(middles)), flat.new_tensor(sides)


def turn_to_axis(direction: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) smallest rotations that turn `direction` (N, 3), somewhere in front, onto the z axis."""
    x, y, z = normalize(direction, dim=1).unbind(1)
    k = 1 / (1 + z)
    rows = [1 - x * x * k, -x * y * k, -x, -x * y * k, 1 - y * y * k, -y, x, y, z]
    return torch.stack(rows, 1).unflatten(1, (3, 3))
