"""Refined hands are turned to each other by exactly R, and none that are lie nearer."""

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.core.batch_rotation import angle_deg, rot
from adapt.core.refinement import refine
from capture.views import PerView
from hand.rotations import from_vector
from tests.adapt.s2dhand_batch import ROOTS, Batch
from tests.runtime.hands import moving_hand, random_rotation

COUNT = 8


def objective(joints: PerView[Tensor], R: Tensor, weight: Tensor) -> Tensor:
    """(N,) ‖rot − R‖², what the published code walks down."""
    return ((rot(joints, weight) - R) ** 2).sum((1, 2))


def moved(joints: PerView[Tensor], others: PerView[Tensor], weight: Tensor) -> Tensor:
    """(N,) square root of Σ w_j (‖Δleft_j‖² + ‖Δright_j‖²)."""
    squared = PerView.of(lambda view: ((joints[view] - others[view]) ** 2).sum(-1))
    return ((squared.left + squared.right) * weight).sum(1).sqrt()


def noisy_hands(rng: np.random.Generator, noise: float, turn_deg: float = 0.0) -> tuple[PerView[Tensor], Tensor]:
    """Two views' hands with joints off by `noise`, and an R that is wrong by `turn_deg`."""
    R, axis = random_rotation(rng), rng.normal(size=3)
    hands = moving_hand(rng, COUNT)

    def seen(turned: np.ndarray) -> Tensor:
        off = rng.normal(0, noise, turned.shape)
        off[:, 0] = 0
        return torch.from_numpy(turned + off)

    wrong = from_vector(np.radians(turn_deg) * axis / np.linalg.norm(axis)) @ R
    return PerView(seen(hands), seen(hands @ R.T)), torch.from_numpy(wrong)


def bfgs(joints: PerView[Tensor], R: Tensor, weight: Tensor, iterations: int = 20) -> PerView[Tensor]:
    """One hand pair (1, 21, 3) walked down the objective from where it is (Nocedal and Wright 2006, algorithm 6.1)."""

    def at(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        value = objective(PerView(*x.view(2, 1, 21, 3)), R, weight)[0]
        return value.detach(), torch.autograd.grad(value, x)[0]

    x = torch.stack(list(joints)).flatten()
    H = torch.eye(len(x), dtype=x.dtype)
    value, gradient = at(x)
    for _ in range(iterations):
        direction, step = -H @ gradient, 1.0
        while at(x + step * direction)[0] > value + 1e-4 * step * (direction @ gradient) and step > 1e-8:
            step /= 2
        s = step * direction
        value, new = at(x + s)
        y, x, gradient = new - gradient, x + s, new
        if (curved := y @ s) > 1e-12:
            left = torch.eye(len(x), dtype=x.dtype) - torch.outer(s, y) / curved
            H = left @ H @ left.T + torch.outer(s, s) / curved
    return PerView(*x.view(2, 1, 21, 3))


@pytest.mark.parametrize(("noise", "turn_deg"), [(0.0, 20.0), (0.05, 0.0), (0.15, 10.0), (0.15, 40.0), (0.3, 0.0), (0.1, 75.0)])
def test_the_rotation_is_exactly_r(noise, turn_deg):
    rng = np.random.default_rng(1)
    joints, R = noisy_hands(rng, noise, turn_deg)
    weight = torch.from_numpy(rng.uniform(0.1, 1, (COUNT, 21)))
    refined = refine(joints, R, weight)
    assert angle_deg(rot(refined, weight), R).max() < 1e-5
    single = refine(joints.map(lambda x: x.float()), R.float(), weight.float())
    assert angle_deg(rot(single, weight.float()), R.float()).max() < 0.01


def test_the_rotation_is_r_even_of_hands_that_have_nothing_in_common():
    joints = PerView.of(lambda view: torch.from_numpy(np.random.default_rng(len(view)).normal(size=(500, 21, 3))))
    weight = torch.ones(500, 21, dtype=torch.float64)
    R = torch.from_numpy(random_rotation(np.random.default_rng(6)))
    assert angle_deg(rot(refine(joints, R, weight), weight), R).max() < 1e-4
    nothing = refine(joints, R, torch.zeros_like(weight))
    assert nothing.left.isfinite().all() and nothing.right.isfinite().all()


@pytest.mark.parametrize("turn_deg", [100.0, 179.0])
def test_hands_turned_far_from_r_are_as_good_as_unknown_and_r_stays_exact(turn_deg):
    joints, R = noisy_hands(np.random.default_rng(2), 0.05, turn_deg)
    weight = torch.ones(COUNT, 21, dtype=torch.float64)
    refined = refine(joints, R, weight)
    assert angle_deg(rot(refined, weight), R).max() < 1e-5
    mean = (joints.left @ R.mT + joints.right) / 2
    torch.testing.assert_close(refined.right, mean)


def test_hands_that_are_already_turned_by_r_stay():
    joints, R = noisy_hands(np.random.default_rng(3), 0.0)
    refined = refine(joints, R, torch.ones(COUNT, 21, dtype=torch.float64))
    for view in ("left", "right"):
        torch.testing.assert_close(refined[view], joints[view], atol=1e-9, rtol=0)


def test_it_matters_to_no_pair_which_others_are_in_its_batch():
    joints, R = noisy_hands(np.random.default_rng(4), 0.2, 15.0)
    weight = torch.rand(COUNT, 21, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    together = refine(joints, R, weight)
    alone = refine(joints.map(lambda x: x[3:4]), R, weight[3:4])
    torch.testing.assert_close(together.left[3:4], alone.left)


@pytest.mark.parametrize(("noise", "turn_deg"), [(0.05, 5.0), (0.15, 20.0), (0.25, 0.0)])
def test_bfgs_ends_no_nearer(noise, turn_deg):
    joints, R = noisy_hands(np.random.default_rng(5), noise, turn_deg)
    weight = torch.ones(COUNT, 21, dtype=torch.float64)
    nearest = moved(refine(joints, R, weight), joints, weight)
    for number in range(3):
        one = joints.map(lambda x, number=number: x[number : number + 1])
        walked = bfgs(one, R, weight[:1])
        assert objective(walked, R, weight[:1])[0] < 1e-6
        assert nearest[number] <= moved(walked, one, weight[:1])[0] * (1 + 1e-3)


@pytest.mark.parametrize("root", ROOTS)
def test_the_published_refinement_ends_no_nearer(root):
    batch = Batch.load()
    joints = batch.rooted(root)
    refined, theirs = refine(joints, batch.R, batch.both), batch.views(f"root{root}_refined")
    assert objective(refined, batch.R, batch.both).max() < 1e-12
    assert (moved(refined, joints, batch.both) <= moved(theirs, joints, batch.both)).all()
