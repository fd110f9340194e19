"""Muon's updates are orthogonal, of one size, and walk losses down."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from tools.train.muon import Muon, inner_weights, orthogonal


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_singular_values_are_made_alike_and_directions_kept(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    assert s.max() > 1.5 * s.min()
    made = orthogonal(matrix)
    values = torch.linalg.svdvals(made)
    assert made.shape == matrix.shape and values.min() > 0.6 and values.max() < 1.25
    along = torch.diagonal(u.T @ made @ vh.T)
    assert (along > 0.6).all()
    torch.testing.assert_close(orthogonal(7 * matrix), made, atol=1e-4, rtol=1e-4)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 1)
    )


def optimiser(net: nn.Sequential) -> Muon:
    inner = inner_weights(net, (net[0], net[-1]))
    assert [weight is net[3].weight for weight in inner] == [True]
    chosen = {id(weight) for weight in inner}
    return Muon(inner, [weight for weight in net.parameters() if id(weight) not in chosen], 1e-2)


def steps(net: nn.Sequential, optimiser: torch.optim.Optimizer, count: int) -> list[float]:
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    target = images[:, :2, 2:-2, 2:-2] * images[:, 2:, 2:-2, 2:-2]
    losses = []
    for _ in range(count):
        loss = ((net(images) - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_steps_lessen_a_loss():
    net = network()
    losses = steps(net, optimiser(net), 40)
    assert losses[-1] < 0.6 * losses[0]


def test_the_other_weights_learn_as_with_adamw():
    ours, theirs = network(), network()
    weights: list[torch.Tensor] = list(ours.parameters())
    steps(ours, Muon([], weights, 1e-2), 5)
    steps(theirs, torch.optim.AdamW(theirs.parameters(), 1e-2, weight_decay=0.01, betas=(0.9, 0.98)), 5)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_its_state_can_be_stored_and_restored():
    first, second = network(), network()
    before, after = optimiser(first), optimiser(second)
    steps(first, before, 3)
    second.load_state_dict(first.state_dict())
    after.load_state_dict(deepcopy(before.state_dict()))
    assert steps(first, before, 3) == pytest.approx(steps(second, after, 3), rel=1e-6)
