"""Shapes that a hand may have: 21 joints each, known up to a movement of the whole.

Such a shape says where each joint is, except that the whole may be shifted, turned or stretched, by known amounts or by any. The
movement is marginalised: of weights D and movements N with inverse variances P stays W = D − D N (Nᵀ D N + P)⁻¹ Nᵀ D.
"""

from dataclasses import dataclass

import numpy as np

from hand.joints import JOINTS

UNKNOWN, GIVEN = 1e-9, 1e9
"""Inverse variances of what may be anything, and of what may not change."""
MOVES = 7
"""Three of place, three of turn, one of stretch along an axis."""
_J = np.arange(JOINTS)
_M = np.arange(MOVES)
_TURNS = np.zeros((3, 3, 3))
"""points @ _TURNS[:, k] is how points move when they turn about axis k."""
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _TURNS[_b, _a, _c], _TURNS[_c, _a, _b] = 1, -1
_TURNS_FLAT = _TURNS.reshape(3, 9)


@dataclass(frozen=True, slots=True)
class Shapes:
    """S of them."""

    points: np.ndarray
    """(S, 21, 3) hands."""
    weight: np.ndarray
    """(S, 21) inverse variance of each joint, beside the movement."""
    metric: np.ndarray
    """(S, 3, 3) what that is multiplied by, by direction."""
    axis: np.ndarray
    """(S, 3) unit direction of the stretch."""
    known: np.ndarray
    """(S, 7) inverse variances of shift (hands), turn (radians, about the middle) and stretch (share)."""

    def and_also(self, other: "Shapes") -> "Shapes":
        return Shapes(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in Shapes.__slots__))

    def evidence(self) -> "Evidence":
        """What all of them together say."""
        count = len(self.points)
        middle = (self.weight[:, None] @ self.points) / self.weight.sum(1)[:, None, None]
        centred = self.points - middle
        moves = np.zeros((count, JOINTS, 3, MOVES))
        moves[..., :3] = np.eye(3)
        moves[..., 3:6] = (centred @ _TURNS_FLAT).reshape(count, JOINTS, 3, 3).swapaxes(-1, -2)
        moves[..., 6] = (centred @ self.axis[..., None]) * self.axis[:, None]
        blocks = self.weight[..., None, None] * self.metric[:, None]
        pushes = (blocks @ moves).reshape(count, 3 * JOINTS, MOVES)
        inner = pushes.swapaxes(1, 2) @ moves.reshape(count, 3 * JOINTS, MOVES)
        inner[:, _M, _M] += self.known
        given_up = np.linalg.solve(inner, pushes.swapaxes(1, 2))
        W = -(pushes.swapaxes(0, 1).reshape(3 * JOINTS, -1) @ given_up.reshape(-1, 3 * JOINTS))
        W.reshape(JOINTS, 3, JOINTS, 3)[_J, :, _J] += blocks.sum(0)
        own = (blocks @ self.points[..., None]).reshape(count, 3 * JOINTS, 1)
        pull = own - pushes @ (given_up @ self.points.reshape(count, 3 * JOINTS, 1))
        told = np.trace(self.metric, axis1=1, axis2=2)[:, None] * self.weight
        told = told - (pushes.swapaxes(1, 2) * given_up).sum(1).reshape(count, JOINTS, 3).sum(-1)
        return Evidence(W, pull[..., 0].sum(0), told)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Half a quadratic cost of joints x (63,): ½ xᵀ W x − pullᵀ x."""

    W: np.ndarray
    """(63, 63)."""
    pull: np.ndarray
    """(63,)."""
    told: np.ndarray
    """(S, 21) how much each shape tells of each joint: the trace of its part of W."""
