"""The shape prior constrains the shape of the hand, not its position."""

import numpy as np
import pytest

from hand.rotations import from_vector
from runtime.fusion.shape_prior import UNKNOWN, QuadraticCost, Shapes, levers

RNG = np.random.default_rng(0)
POINTS, WEIGHT = RNG.normal(size=(21, 3)), RNG.uniform(1, 9, 21)


def evidence(shift: float, turn: float) -> QuadraticCost:
    return Shapes(POINTS[None], WEIGHT[None], np.array([[shift, turn]])).quadratic_cost()


def cost(known: QuadraticCost, points: np.ndarray) -> float:
    """Above that of the shape itself."""
    off = (points - POINTS).ravel()
    np.testing.assert_allclose(known.W @ POINTS.ravel(), known.pull, atol=1e-6)
    return float(off @ known.W @ off)


def test_levers_are_cross_product_matrices():
    turn, point = RNG.normal(size=3), RNG.normal(size=3)
    np.testing.assert_allclose(levers(point) @ turn, np.cross(turn, point))


def test_rigid_motion_costs_its_prior_weight():
    turned = POINTS @ from_vector(np.array([0, 1e-4, 0])).T
    shifted = POINTS + [0.3, 0, 0]
    assert cost(evidence(UNKNOWN, UNKNOWN), turned + [5, 6, 7]) == pytest.approx(0, abs=1e-6)
    assert cost(evidence(UNKNOWN, 4.0), shifted) == pytest.approx(0, abs=1e-6)
    assert cost(evidence(1.0, UNKNOWN), shifted) == pytest.approx(1.0 * 0.3**2, rel=0.02)
    assert cost(evidence(UNKNOWN, 4.0), turned) == pytest.approx(4.0 * 1e-8, rel=0.1)


def test_a_displaced_joint_costs_its_weight_and_shapes_add_up():
    known = evidence(1e9, 1e9)
    off = POINTS.copy()
    off[7, 2] += 0.1
    assert cost(known, off) == pytest.approx(WEIGHT[7] * 0.01, rel=1e-4)
    np.testing.assert_allclose(known.information[0], 3 * WEIGHT, rtol=1e-4)
    twice = Shapes(POINTS[None], WEIGHT[None], np.ones((1, 2)))
    np.testing.assert_allclose(twice.and_also(twice).quadratic_cost().W, 2 * twice.quadratic_cost().W, atol=1e-9)
