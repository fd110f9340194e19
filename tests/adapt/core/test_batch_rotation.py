"""Rotations of pairs, of batches and over time: exact without noise, never a reflection, moved little by bad pairs."""

import itertools

import numpy as np
import pytest
import torch

from adapt.core.batch_rotation import angle_deg, batch_rotation, drift, initial_rotation, project, published_batch_rotation, rot
from capture.views import PerView
from hand import rotations
from tests.adapt.s2dhand_batch import ROOTS, Batch
from tests.runtime.hands import flexed_hand, moving_hand, random_rotation


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pair(left: np.ndarray, right: np.ndarray) -> PerView[torch.Tensor]:
    return PerView(torch.from_numpy(left), torch.from_numpy(right))


def ones(count: int) -> torch.Tensor:
    return torch.ones(count, 21, dtype=torch.float64)


def test_rot_is_the_one_hand_rotations_tell(rng):
    left, right, weight = rng.normal(size=(40, 21, 3)), rng.normal(size=(40, 21, 3)), rng.uniform(size=(40, 21))
    expected = rotations.align(left, right, weight)
    np.testing.assert_allclose(rot(pair(left, right), torch.from_numpy(weight)), expected, atol=1e-12)
    np.testing.assert_allclose(project(torch.from_numpy(left[:, :3])), rotations.project_to_rotation(left[:, :3]), atol=1e-12)


def test_flat_noisy_hands_give_no_reflections(rng):
    hands = np.repeat(flexed_hand(0)[None], 200, 0)
    R = rot(pair(hands + rng.normal(0, 0.2, hands.shape), hands + rng.normal(0, 0.2, hands.shape)), ones(200))
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(200, dtype=torch.float64))


@pytest.mark.parametrize("of_batch", [batch_rotation, published_batch_rotation])
def test_a_batch_that_agrees_tells_its_rotation(rng, of_batch):
    for _ in range(20):
        R, hands = random_rotation(rng), moving_hand(rng, 6)
        found = of_batch(pair(hands, hands @ R.T), ones(6))
        assert rotations.angle_deg(found.numpy(), R) < 1e-5


def test_a_bad_pair_moves_a_batch_little(rng):
    hands, R = moving_hand(rng, 16), random_rotation(rng)
    right = hands @ R.T + rng.normal(0, 0.03, hands.shape)
    right[0] = rng.normal(0, 1, (21, 3))
    assert rotations.angle_deg(batch_rotation(pair(hands, right), ones(16)).numpy(), R) < 1.5


def test_quaternions_of_alike_rotations_may_cancel_as_published(rng):
    hands = moving_hand(rng, 2)
    turns = rotations.from_vector(np.radians([[0.0, 119, 0], [0, 121, 0]]))
    hands_right = hands @ turns.transpose(0, 2, 1)
    assert rotations.angle_deg(batch_rotation(pair(hands, hands_right), ones(2)).numpy(), turns[0]) < 1.5
    # About y, the sign is w's below 120° and y's above: of row vectors' matrices these are opposite.
    assert rotations.angle_deg(published_batch_rotation(pair(hands, hands_right), ones(2)).numpy(), turns[0]) > 90


def test_a_rotation_drifts_to_what_it_is_told_and_stays_one(rng):
    start, goal = (torch.from_numpy(random_rotation(rng)) for _ in range(2))
    R, far = start, [float(angle_deg(start, goal))]
    for _ in range(60):
        R = drift(R, goal, 0.9)
        far.append(float(angle_deg(R, goal)))
    assert all(after < before for before, after in itertools.pairwise(far)) and far[-1] < 2
    torch.testing.assert_close(R @ R.mT, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(R), torch.tensor(1.0, dtype=torch.float64))


def test_the_first_rotation_comes_through_outliers(rng):
    hands, R = moving_hand(rng, 60), random_rotation(rng)
    right = hands @ R.T + rng.normal(0, 0.05, hands.shape)
    right[:18] = moving_hand(rng, 18) @ random_rotation(rng).T
    found, uncertainty_deg = initial_rotation(pair(hands, right), ones(60))
    assert rotations.angle_deg(found.numpy(), R) < 2 and uncertainty_deg < 5


@pytest.mark.parametrize("root", ROOTS)
def test_batch_and_update_are_the_published_ones(root):
    batch = Batch.load()
    told = published_batch_rotation(batch.views(f"root{root}_pseudo"), batch.both)
    torch.testing.assert_close(told, batch[f"root{root}_batch_R_row"].mT, atol=1e-9, rtol=0)
    updated = drift(batch.R, told, 0.999)
    torch.testing.assert_close(updated, batch[f"root{root}_updated_R_row"].mT, atol=1e-6, rtol=0)
