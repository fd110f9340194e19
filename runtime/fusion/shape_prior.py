"""Prior on the 21 joints from shapes of the hand that are known up to a rigid movement.

A shape gives each joint's position, except that the whole may be shifted and turned, with known or unbounded variances. The
movement is marginalised: of weights D and movements N with inverse variances P stays W = D − D N (Nᵀ D N + P)⁻¹ Nᵀ D.
"""

from dataclasses import dataclass

import numpy as np

from hand.joints import JOINTS

UNKNOWN = 1e-9
"""Inverse variance of an unbounded movement."""
_MOVES = 6
_J, _M = np.arange(JOINTS), np.arange(_MOVES)
_TURNED = np.zeros((3, 3, 3))
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _TURNED[_b, _c, _a], _TURNED[_c, _b, _a] = 1, -1
_TURNED = _TURNED.reshape(3, 9)


@dataclass(frozen=True, slots=True)
class Shapes:
    """S shapes with their variances."""

    points: np.ndarray
    """(S, 21, 3) hands."""
    weight: np.ndarray
    """(S, 21) inverse variance of each joint along each axis, without the movement."""
    moves: np.ndarray
    """(S, 2) inverse variances of its shift (hands) and of its turn about its middle (radians), about each axis."""

    def and_also(self, other: "Shapes") -> "Shapes":
        return Shapes(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in Shapes.__slots__))

    def quadratic_cost(self) -> "QuadraticCost":
        """The sum of all shapes' costs, movements marginalised."""
        count = len(self.points)
        weight = self.weight[..., None]
        middle = (self.weight[:, None] @ self.points) / self.weight.sum(1)[:, None, None]
        moves = np.empty((count, JOINTS, 3, _MOVES))
        moves[..., :3] = np.eye(3)
        moves[..., 3:] = levers(self.points - middle)
        pushes = (moves * weight[..., None]).reshape(count, 3 * JOINTS, _MOVES)
        inner = pushes.swapaxes(1, 2) @ moves.reshape(count, 3 * JOINTS, _MOVES)
        inner[:, _M, _M] += self.moves.repeat(3, 1)
        given_up = np.linalg.solve(inner, pushes.swapaxes(1, 2))
        W = -(pushes.swapaxes(0, 1).reshape(3 * JOINTS, -1) @ given_up.reshape(-1, 3 * JOINTS))
        W.reshape(-1)[:: 3 * JOINTS + 1] += self.weight.sum(0).repeat(3)
        kept = (weight * self.points).reshape(count, 3 * JOINTS, 1) - pushes @ (given_up @ self.points.reshape(count, -1, 1))
        information = 3 * self.weight - (pushes.swapaxes(1, 2) * given_up).sum(1).reshape(count, JOINTS, 3).sum(-1)
        return QuadraticCost(W, kept[..., 0].sum(0), information)


@dataclass(frozen=True, slots=True)
class QuadraticCost:
    """Half a quadratic cost of joints x (63,): ½ xᵀ W x − pullᵀ x."""

    W: np.ndarray
    """(63, 63)."""
    pull: np.ndarray
    """(63,)."""
    information: np.ndarray
    """(S, 21) of each shape about each joint: the trace of its part of W."""


def levers(points: np.ndarray) -> np.ndarray:
    """(..., 3, 3) matrices L with L turn = turn × point: how points (..., 3) move as they turn about the origin."""
    return (points @ _TURNED).reshape(*points.shape, 3)
