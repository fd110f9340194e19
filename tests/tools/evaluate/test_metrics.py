"""Laws of the measures: perfect predictions score 1, and calibrated expectations lie on the diagonal."""

import numpy as np
import pytest

from tools.evaluate.metrics import auc, pck, pck_curve, rank_correlation, reliability

RNG = np.random.default_rng(0)


def test_perfect_keypoints_are_all_correct_and_hopeless_ones_are_not():
    assert pck(np.zeros((5, 21)), 0.1) == 1 and auc(np.zeros((5, 21)), 50) == 1
    assert pck(np.full((5, 21), np.inf), 0.1) == 0 and auc(np.full((5, 21), np.inf), 50) == 0
    assert pck(np.full(4, np.nan), 0.1) == 0 and auc(np.full(4, np.nan), 50) == 0


def test_correct_keypoints_are_counted():
    errors = np.array([[0.05, 0.1], [0.15, 0.3]])
    assert pck(errors, 0.1) == 0.25
    np.testing.assert_array_equal(pck_curve(errors, np.array([0.0, 0.1, 0.2, 1.0])), [0, 0.25, 0.75, 1])


def test_the_area_is_that_under_the_curve():
    errors = RNG.exponential(20, (40, 21))
    thresholds = np.linspace(0, 50, 20_001)
    assert auc(errors, 50) == pytest.approx(np.trapezoid(pck_curve(errors, thresholds), thresholds) / 50, abs=1e-4)
    np.testing.assert_array_equal(pck_curve(errors, thresholds[::4000]), [pck(errors, t) for t in thresholds[::4000]])


def test_a_rising_relation_correlates_whatever_its_shape():
    x = RNG.normal(size=(30, 21))
    assert rank_correlation(x, np.exp(3 * x)) == pytest.approx(1)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert abs(rank_correlation(x, RNG.normal(size=(30, 21)))) < 0.15


def test_equal_values_have_equal_ranks():
    assert rank_correlation(np.array([1, 1, 2, 2]), np.array([3, 4, 3, 4])) == pytest.approx(0)
    assert rank_correlation(np.array([1, 1, 2]), np.array([5, 5, 9])) == pytest.approx(1)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4)))


def test_calibrated_expectations_lie_on_the_diagonal():
    expected = RNG.uniform(5, 60, (2000, 21))
    true = expected * RNG.exponential(1, expected.shape)
    result = reliability(expected, true)
    assert len(result.expected) == 10 and (np.diff(result.expected) > 0).all()
    np.testing.assert_allclose(result.true, result.expected, rtol=0.05)
    assert result.gap < 1


def test_biased_expectations_lie_off_it_by_as_much():
    expected = RNG.uniform(5, 60, (100, 21))
    assert reliability(expected, expected + 7).gap == pytest.approx(7)
    assert reliability(expected, expected - 3).gap == pytest.approx(3)


def test_bins_hold_equally_many():
    expected = np.array([4.0, 1.0, 3.0, 2.0])
    result = reliability(expected, 10 * expected, bins=2)
    np.testing.assert_array_equal(result.expected, [1.5, 3.5])
    np.testing.assert_array_equal(result.true, [15, 35])
    assert len(reliability(expected, expected, bins=10).true) == 4
