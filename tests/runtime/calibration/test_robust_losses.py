"""Robust losses: weights are derivatives, small residuals are not down-weighted, and variance shares match."""

import numpy as np
import pytest

from runtime.calibration.robust_losses import FINAL_LOSSES, INITIAL_LOSSES, Loss, RobustLosses, cauchy, charbonnier, geman_mcclure

KNEES = (0.5, 2.0, 3.0)
EVERY = [make(knee) for make in (geman_mcclure, cauchy, charbonnier) for knee in KNEES]


@pytest.mark.parametrize("loss", EVERY)
def test_weight_is_the_derivative_of_the_loss(loss: Loss):
    squared = np.geomspace(1e-3, 1e4, 60)
    step = 1e-5 * squared
    slope = (loss(squared + step)[0] - loss(squared - step)[0]) / (2 * step)
    np.testing.assert_allclose(loss(squared)[1], slope, rtol=1e-4)


@pytest.mark.parametrize("loss", EVERY)
def test_small_residuals_have_weight_one_and_weights_decrease(loss: Loss):
    assert loss(np.zeros(1)) == (0, 1)
    cost, weight = loss(np.geomspace(1e-9, 1e6, 100))
    assert cost[0] == pytest.approx(1e-9) and weight[0] == pytest.approx(1)
    assert (np.diff(cost) >= 0).all() and (np.diff(weight) <= 0).all() and (weight >= 0).all()


@pytest.mark.parametrize("knee", KNEES)
def test_asymptotes_for_large_residuals(knee: float):
    far, farther = 1e4 * knee, 1e5 * knee
    (bounded, rejected), (logarithm, pull), (linear, root) = (
        loss(np.array([far, farther]) ** 2) for loss in (geman_mcclure(knee), cauchy(knee), charbonnier(knee))
    )
    np.testing.assert_allclose(bounded, knee**2, rtol=1e-6)
    assert np.diff(logarithm)[0] == pytest.approx(2 * knee**2 * np.log(10), rel=1e-4)
    assert np.diff(linear)[0] == pytest.approx(2 * knee * (farther - far), rel=1e-4)
    # How hard a residual pulls is its weight times its length.
    assert rejected[1] * farther < 1e-8 * knee
    assert pull[1] * farther == pytest.approx(knee**2 / farther, rel=1e-4)
    assert root[1] * farther == pytest.approx(knee, rel=1e-4)


@pytest.mark.parametrize("losses", [INITIAL_LOSSES, FINAL_LOSSES, RobustLosses(geman_mcclure(1.0), geman_mcclure(1.5))])
def test_shares_are_the_weighted_variance_of_normal_residuals(losses: RobustLosses):
    rng = np.random.default_rng(0)
    for loss, dimensions, share in ((losses.pixel, 2, losses.pixel_share), (losses.bone, 1, losses.bone_share)):
        squared = (rng.normal(size=(200_000, dimensions)) ** 2).sum(-1)
        weight = loss(squared)[1]
        assert share == pytest.approx((weight * squared).sum() / weight.sum() / dimensions, rel=0.01)
        assert share < 1
