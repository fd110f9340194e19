"""The parametric right hand: shape, pose → joints and skin, batched in torch.

Hand axes: x to the little finger, y from the wrist to the middle MCP, z out of the back of the hand; lengths are unit
hands (wrist → middle MCP of the mean hand is 1), the wrist is the origin. The data is made by `tools.make.hand`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open

from hand.joints import FINGERS, JOINTS, PARENTS, TIPS

ASSET = Path(__file__).parent / "assets" / "hand.safetensors"
FOREIGN_ASSET = ASSET.with_name("foreign_hand.safetensors")
"""Another artist's hand, made by `tools.make.foreign_hand`. For evaluation only; never rendered for training."""

BONE_JOINTS = tuple(joint for joint in range(JOINTS) if joint not in TIPS)
"""The joint at which each of the 16 bones turns; bone 0 is the palm, which turns at the wrist."""
BONE_PARENTS = tuple(BONE_JOINTS.index(PARENTS[joint]) if joint else -1 for joint in BONE_JOINTS)
FOREARM = len(BONE_JOINTS)
"""Column of the forearm in the skinning weights."""

REGIONS = ("palm", "nail", "crease", "knuckle")


@dataclass(frozen=True, slots=True)
class HandPose:
    """Joint angles of N hands, radians."""

    flex: torch.Tensor
    """(N, 5, 3) per finger from its base joint outwards. Fingers: 0 is straight. Thumb: 0 is the rest pose. Positive curls."""
    spread: torch.Tensor
    """(N, 5) at the base joint, from the rest pose; positive turns the finger to the thumb's side."""
    twist: torch.Tensor
    """(N, 5) about the first bone of each finger, from the rest pose; positive by the right-hand rule about the bone."""
    wrist: torch.Tensor
    """(N, 3) forearm relative to the hand: flexion, deviation, pronation."""


@dataclass(frozen=True, slots=True)
class PosedHand:
    """N hands in hand axes."""

    joints: torch.Tensor
    """(N, 21, 3)."""
    vertices: torch.Tensor
    """(N, V, 3)."""


def axis_angle(axis: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Rotations (..., 3, 3) about unit `axis` (..., 3) by `angle` (...) radians; the two broadcast."""
    axis, angle = torch.broadcast_tensors(axis, angle[..., None])
    angle = angle[..., 0]
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[..., None, None], angle.cos()[..., None, None]
    return torch.eye(3, dtype=axis.dtype, device=axis.device) + sin * k + (1 - cos) * (k @ k)


class HandModel:
    """Rest hand, shape space and skinning."""

    def __init__(self, tensors: dict[str, torch.Tensor]):
        self.vertices = tensors["vertices"]
        """(V, 3) rest skin of the mean hand, forearm included."""
        self.joints = tensors["joints"]
        """(21, 3) its joints."""
        self.shape_vertices, self.shape_joints = tensors["shape_vertices"], tensors["shape_joints"]
        """(K, V, 3) and (K, 21, 3): what one standard deviation of each shape component adds."""
        self.faces = tensors["faces"]
        """(F, 3) long, counter-clockwise seen from outside."""
        self.weights = tensors["weights"]
        """(V, 17) skinning weights: the bones of `BONE_JOINTS`, then the forearm."""
        self.axes = tensors["bone_axes"]
        """(16, 3, 3) rows for each bone at rest: flexion axis, direction, dorsal direction."""
        self.regions = {name: tensors[f"region_{name}"] for name in REGIONS}
        """(V,) each, in [0, 1]."""
        self.rest_flex = self._rest_flex()

    @classmethod
    def load(cls, device: torch.device | str = "cpu", asset: Path = ASSET) -> "HandModel":
        """The hand model that ships with the project, or another `asset` in its format; cached per device."""
        return _load(str(device), asset)

    @property
    def components(self) -> int:
        return len(self.shape_vertices)

    def _rest_flex(self) -> torch.Tensor:
        """(5, 3) angles of the fingers at rest against the bone before each, about each joint's flexion axis; thumb 0."""
        rest = torch.zeros(5, 3, device=self.joints.device)
        for number, chain in enumerate(FINGERS.values()):
            for k in range(3 if number else 0):
                joint = chain[k]
                before = self.joints[joint] - self.joints[PARENTS[joint]]
                after = self.joints[chain[k + 1]] - self.joints[joint]
                axis = self.axes[BONE_JOINTS.index(joint), 0]
                before, after = (v - (v @ axis) * axis for v in (before, after))
                rest[number, k] = torch.atan2(axis @ torch.linalg.cross(before, after), before @ after)
        return rest

    def bone_rotations(self, pose: HandPose) -> torch.Tensor:
        """(N, 17, 3, 3) rotations of the bones and the forearm from rest, hand axes."""
        n = len(pose.flex)
        flex = pose.flex - self.rest_flex
        rotations = [torch.eye(3, device=flex.device).expand(n, 3, 3)]
        for number, chain in enumerate(FINGERS.values()):
            parent = rotations[0]
            for k in range(3):
                axes = self.axes[BONE_JOINTS.index(chain[k])]
                local = axis_angle(axes[0], flex[:, number, k])
                if k == 0:
                    turn = axis_angle(axes[2], pose.spread[:, number]) @ local
                    local = turn @ axis_angle(axes[1], pose.twist[:, number])
                parent = parent @ local
                rotations.append(parent)
        x, y, z = torch.eye(3, device=flex.device)
        arm = axis_angle(x, pose.wrist[:, 0]) @ axis_angle(z, pose.wrist[:, 1]) @ axis_angle(y, pose.wrist[:, 2])
        return torch.stack([*rotations, arm], 1)

    def pose_joints(self, shape: torch.Tensor, pose: HandPose) -> torch.Tensor:
        """(N, 21, 3) joints alone, in hand axes; `shape` (N, K) in standard deviations."""
        rest = self.joints + torch.einsum("nk,kjc->njc", shape, self.shape_joints)
        return self._chain(rest, self.bone_rotations(pose))

    def pose(self, shape: torch.Tensor, pose: HandPose) -> PosedHand:
        """Skin and joints for `shape` (N, K), in standard deviations, and `pose`. Linear blend skinning."""
        rest_joints = self.joints + torch.einsum("nk,kjc->njc", shape, self.shape_joints)
        rest_vertices = self.vertices + torch.einsum("nk,kvc->nvc", shape, self.shape_vertices)
        rotation = self.bone_rotations(pose)
        joints = self._chain(rest_joints, rotation)
        pivots = [*BONE_JOINTS, 0]
        shift = joints[:, pivots] - (rotation @ rest_joints[:, pivots, :, None])[..., 0]
        transform = torch.cat([rotation, shift[..., None]], -1).flatten(2)
        blended = (self.weights @ transform).unflatten(-1, (3, 4))
        vertices = (blended[..., :3] @ rest_vertices[..., None])[..., 0] + blended[..., 3]
        return PosedHand(joints, vertices)

    @staticmethod
    def _chain(rest: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        """(N, 21, 3) joints from rest joints (N, 21, 3) and bone rotations (N, 17, 3, 3), from the wrist outwards."""
        moved = [rest[:, 0]]
        for joint in range(1, JOINTS):
            parent = PARENTS[joint]
            offset = rest[:, joint] - rest[:, parent]
            moved.append(moved[parent] + (rotation[:, BONE_JOINTS.index(parent)] @ offset[..., None])[..., 0])
        return torch.stack(moved, 1)


@cache
def _load(device: str, asset: Path) -> HandModel:
    with safe_open(asset, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is not a mapping)
    tensors = {name: t.long() if name == "faces" else t.float() for name, t in tensors.items()}
    return HandModel({name: t.to(device) for name, t in tensors.items()})
