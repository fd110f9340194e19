"""Rotations compose and invert, are recovered from points, and are never reflections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand.rotations import align, angle_deg, between, correlation, from_vector, project_to_rotation, skew, to_vector
from tests.runtime.hands import flexed_hand, random_rotation

NUMBER = st.floats(-4, 4)
VECTOR = st.tuples(NUMBER, NUMBER, NUMBER).map(np.array)
DIRECTION = VECTOR.filter(lambda v: np.linalg.norm(v) > 1e-3).map(lambda v: v / np.linalg.norm(v))
ROTATION = VECTOR.map(from_vector)


def assert_rotation(R: np.ndarray, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=atol)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=atol)


@given(VECTOR)
def test_negated_vector_gives_the_inverse_rotation(vector):
    R = from_vector(vector)
    assert_rotation(R)
    np.testing.assert_allclose(from_vector(-vector), R.T, atol=1e-12)
    np.testing.assert_allclose(R @ vector, vector, atol=1e-12)


@given(DIRECTION, st.floats(-np.pi, np.pi), st.floats(-np.pi, np.pi))
def test_rotations_about_one_axis_add_their_angles(axis, first, second):
    composed = from_vector(first * axis) @ from_vector(second * axis)
    np.testing.assert_allclose(composed, from_vector((first + second) * axis), atol=1e-12)


@given(VECTOR)
def test_to_vector_gives_the_shortest_vector_of_the_same_rotation(vector):
    R = from_vector(vector)
    back = to_vector(R)
    assert np.linalg.norm(back) <= np.pi + 1e-9
    # Near half a turn the accuracy of the vector is only the square root of that of the matrix.
    # Near half a turn the vector is only as accurate as the square root of the matrix; OpenCV gives 0 up to 1e-5 rad.
    np.testing.assert_allclose(from_vector(back), R, atol=1e-6 if np.linalg.norm(vector) > 2e-5 else 2e-5)


@given(VECTOR, VECTOR)
def test_skew_is_the_cross_product(a, b):
    np.testing.assert_allclose(skew(a) @ b, np.cross(a, b), atol=1e-12)


@given(ROTATION, DIRECTION)
@pytest.mark.parametrize("angle", [1e-10, 1e-7, 1e-3, 1.0, 3.0, np.pi - 1e-3, np.pi])
def test_angle_between_rotations_is_that_of_the_relative_rotation(angle, start, axis):
    turned = start @ from_vector(angle * axis)
    expected = np.degrees(angle)
    assert angle_deg(start, turned) == pytest.approx(expected, rel=0, abs=min(1e-4 * expected, 1e-5))
    assert angle_deg(turned, start) == pytest.approx(angle_deg(start, turned), abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_alignment_recovers_the_rotation(seed):
    rng = np.random.default_rng(seed)
    points, R = rng.normal(size=(21, 3)), random_rotation(rng)
    np.testing.assert_allclose(align(points, points @ R.T, rng.uniform(0.1, 1, 21)), R, atol=1e-10)


def test_points_of_zero_weight_do_not_affect_alignment():
    rng = np.random.default_rng(1)
    points, R = rng.normal(size=(21, 3)), random_rotation(rng)
    destination = points @ R.T
    destination[5:] = rng.normal(size=(16, 3))
    weight = np.where(np.arange(21) < 5, 1.0, 0.0)
    np.testing.assert_allclose(align(points, destination, weight), R, atol=1e-10)


def test_batched_alignment_equals_alignment_one_by_one():
    rng = np.random.default_rng(2)
    source, destination, weight = rng.normal(size=(4, 21, 3)), rng.normal(size=(4, 21, 3)), rng.uniform(size=(4, 21))
    each = [align(*pair) for pair in zip(source, destination, weight, strict=True)]
    np.testing.assert_allclose(align(source, destination, weight), each, atol=1e-12)


def test_alignment_of_a_flat_noisy_hand_is_never_a_reflection():
    rng = np.random.default_rng(3)
    left, right = flexed_hand(0.0) + rng.normal(0, 20 / 90, (2, 300, 21, 3))
    u, _, vt = np.linalg.svd(correlation(left, right))
    reflected = np.linalg.det(u @ vt) < 0
    assert reflected.mean() > 0.2, "the noise is too weak to tempt"
    assert_rotation(align(left, right), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_no_rotation_is_nearer_than_the_projection(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(3, 3))
    nearest = project_to_rotation(matrix)
    assert_rotation(nearest)
    others = np.stack([random_rotation(rng) for _ in range(20)] + [nearest @ from_vector(rng.normal(0, 0.01, 3))])
    distance = np.linalg.norm(others - matrix, axis=(1, 2))
    assert (np.linalg.norm(nearest - matrix) <= distance + 1e-12).all()


@given(DIRECTION, DIRECTION)
def test_between_rotates_by_the_smallest_angle(source, destination):
    R = between(source, 3 * destination)
    assert_rotation(R, atol=1e-9)
    np.testing.assert_allclose(R @ source, destination, atol=1e-7)
    least = np.degrees(np.arctan2(np.linalg.norm(np.cross(source, destination)), source @ destination))
    assert angle_deg(np.eye(3), R) == pytest.approx(least, abs=1e-5)


@given(DIRECTION, DIRECTION)
@pytest.mark.parametrize("off", [0.0, 1e-9, 1e-7, 2e-6, 1e-4])
def test_between_opposite_directions_is_half_a_turn(off, source, sideways):
    destination = -source + off * np.cross(source, sideways)
    R = between(source, destination)
    assert_rotation(R, atol=1e-8)
    np.testing.assert_allclose(R @ source, destination / np.linalg.norm(destination), atol=1e-7)
