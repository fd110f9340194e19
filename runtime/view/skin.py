"""Skin mesh of a hand given by its 21 joints: bone frames in closed form, then linear blend skinning."""

import numpy as np

from hand.joints import BONES, FINGERS, MIDDLE_MCP, WRIST
from hand.model import BONE_JOINTS, FOREARM, HandModel
from runtime.types import Side

_PARENT, _CHILD = (np.array(ends) for ends in zip(*BONES, strict=True))
_RAYS = np.array([chain[0] - 1 for chain in FINGERS.values()])
"""Bones from the wrist to the base of each finger, thumb first."""
_PHALANGES = _RAYS[:, None] + np.array([1, 2, 3])
"""(5, 3) bones of each finger beyond its base joint."""
_STRAIGHT = 0.1
"""How much the expected hinge counts against the bending plane (sine of the bend, squared)."""
_DRAWN_FOREARM = 1.2
"""How much of the forearm is drawn, unit hands."""
_MIRROR = np.array([-1.0, 1.0, 1.0])


class Skin:
    """The parametric right hand's rest mesh, put on any 21 joints; left hands are mirrored right hands."""

    def __init__(self, model: HandModel):
        self._joints = model.joints.numpy().astype(float)
        self._vertices = model.vertices.numpy().astype(float)
        self.fade = np.clip((self._joints[WRIST] - self._vertices)[:, 1] / _DRAWN_FOREARM, 0, 1)
        """(V,) how far down the forearm a vertex is: 0 in the hand, 1 where the drawn part ends."""
        faces = model.faces.numpy().astype(np.int32)
        faces = faces[self.fade[faces].min(-1) < 1]
        self._faces: dict[Side, np.ndarray] = {"right": faces, "left": faces[:, ::-1].copy()}
        self._weights = self._bone_weights(model.weights.numpy().astype(float))
        self._frames = bone_frames(self._joints)
        self._lengths = np.linalg.norm(self._joints[_CHILD] - self._joints[_PARENT], axis=-1)

    def faces(self, side: Side) -> np.ndarray:
        """(F, 3) int32 vertex indices, counter-clockwise seen from outside; the far end of the forearm is left out."""
        return self._faces[side]

    def vertices(self, joints: np.ndarray, side: Side) -> np.ndarray:
        """(V, 3) skin on `joints` (21, 3), any axes, in their length unit.

        The wrist → middle MCP distance sets the hand's thickness; every bone is scaled along its axis to end exactly at its
        joint. The forearm follows the middle metacarpal, since no joint gives its direction.
        """
        joints = np.asarray(joints, float)
        if side == "left":
            return self._right(joints * _MIRROR) * _MIRROR
        return self._right(joints)

    def normals(self, vertices: np.ndarray, side: Side) -> np.ndarray:
        """(V, 3) outward unit normals of `vertices` (V, 3)."""
        faces = self._faces[side]
        a, b, c = (vertices[faces[:, k]] for k in range(3))
        # A triangle's cross product is as long as its area is large: the sum weighs by area.
        area = np.repeat(np.cross(b - a, c - a), 3, axis=0)
        total = np.stack([np.bincount(faces.ravel(), area[:, k], len(vertices)) for k in range(3)], -1)
        return _unit(total, np.array([0.0, 0, 1]))

    def _right(self, joints: np.ndarray) -> np.ndarray:
        middle = MIDDLE_MCP - 1
        lengths = np.linalg.norm(joints[_CHILD] - joints[_PARENT], axis=-1)
        size = lengths[middle] / self._lengths[middle]
        scale = np.full((len(BONES), 3), size)
        scale[:, 0] = lengths / self._lengths
        frames = bone_frames(joints)
        linear = (frames * scale[:, None]) @ np.swapaxes(self._frames, -1, -2)
        linear = np.concatenate([linear, size * frames[middle : middle + 1] @ self._frames[middle].T])
        pivot = np.append(_PARENT, WRIST)
        shift = joints[pivot] - (linear @ self._joints[pivot, :, None])[..., 0]
        blended = self._weights @ np.concatenate([linear, shift[..., None]], -1).reshape(-1, 12)
        blended = blended.reshape(-1, 3, 4)
        return np.einsum("vij,vj->vi", blended[..., :3], self._vertices) + blended[..., 3]

    def _bone_weights(self, model_weights: np.ndarray) -> np.ndarray:
        """(V, 21) weights of the bones of `BONES`, then of the forearm.

        The model's palm is one rigid bone; predicted knuckles are not rigid, so its share goes to the five rays by nearness.
        """
        weights = np.zeros((len(model_weights), len(BONES) + 1))
        for column, joint in enumerate(BONE_JOINTS):
            if joint != WRIST:
                weights[:, list(_PARENT).index(joint)] = model_weights[:, column]
        start, step = self._joints[WRIST], self._joints[_CHILD[_RAYS]] - self._joints[WRIST]
        along = np.clip((self._vertices - start) @ step.T / (step**2).sum(-1), 0, 1)
        distance = np.linalg.norm(self._vertices[:, None] - (start + along[..., None] * step), axis=-1)
        nearness = (distance + 1e-3) ** -4
        weights[:, _RAYS] = model_weights[:, :1] * nearness / nearness.sum(-1, keepdims=True)
        weights[:, -1] = model_weights[:, FOREARM]
        return weights / weights.sum(-1, keepdims=True)


def bone_frames(joints: np.ndarray) -> np.ndarray:
    """(20, 3, 3) frames of the bones of `BONES`, columns: direction, hinge, their cross product.

    The direction is the bone's own. The hinge is the axis about which the finger flexes: for the bones of the palm it lies
    in the palm plane; for a finger it is the normal of its bending plane, and the more straight the finger is, the axis that
    its base joint has. `joints`: (21, 3) of a right hand. Always finite rotations, whatever the joints are.
    """
    direction = _unit(joints[_CHILD] - joints[_PARENT], np.array([0.0, 1, 0]))
    index, little = joints[FINGERS["index"][0]], joints[FINGERS["little"][0]]
    palm_normal = _unit(np.cross(little - joints[WRIST], index - joints[WRIST]), np.array([0.0, 0, 1]))
    hinge = np.empty((len(BONES), 3))
    hinge[_RAYS] = np.cross(direction[_RAYS], palm_normal)

    expected = hinge[_RAYS].copy()
    # The thumb flexes towards the little finger's knuckle, wherever opposition has turned it.
    thumb = _PHALANGES[0, 0]
    expected[0] = np.cross(direction[thumb], little - joints[_PARENT[thumb]])
    expected = _unit(expected, palm_normal)
    bones = direction[_PHALANGES]
    bend = np.cross(bones[:, 0], bones[:, 1]) + np.cross(bones[:, 1], bones[:, 2])
    # Quadratic in the bend: a finger that bends backwards has the same hinge.
    bend_along = (bend * expected).sum(-1, keepdims=True)
    hinge[_PHALANGES] = (_STRAIGHT * expected + bend_along * bend)[:, None]

    across = hinge - (hinge * direction).sum(-1, keepdims=True) * direction
    spare = np.eye(3)[np.argmin(np.abs(direction), -1)]
    across = _unit(across, _unit(np.cross(direction, spare), spare))
    return np.stack([direction, across, np.cross(direction, across)], -1)


def _unit(vector: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """`vector` (..., 3) at length 1; `instead` where it has no direction."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vector / np.maximum(length, 1e-9), instead)
