"""Correlation by lag, against numpy's own where all is known, and its laws where not."""

import numpy as np
import pytest

from runtime.synchronization.correlation import correlate, independent_samples, vertex


def walk(size: int, seed: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=size))


def test_each_value_is_pearsons_correlation_of_what_overlaps():
    first, second = walk(60, 0), walk(40, 1)
    first[10:14] = np.nan
    found = correlate(first, second, min_overlap=10)
    for lag, value in zip(found.lags, found.values, strict=True):
        pairs = [(first[i], second[i - lag]) for i in range(60) if 0 <= i - lag < 40 and np.isfinite(first[i])]
        expected = np.corrcoef(np.array(pairs).T)[0, 1] if len(pairs) >= 10 else np.nan
        np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("lag", [-17, 0, 30])
def test_a_shifted_signal_is_most_alike_at_its_shift(lag):
    long = walk(400, 2)
    first, second = long[100:300], long[100 + lag : 300 + lag]
    found = correlate(first, second, min_overlap=50)
    best = found.best()
    assert best is not None and found.lags[best] == lag and found.values[best] == pytest.approx(1)
    assert found.peak(3) == pytest.approx(lag, abs=0.3)
    turned = correlate(second, first, min_overlap=50)
    assert turned.peak(3) == pytest.approx(-found.peak(3), abs=1e-6)


def test_what_does_not_vary_is_alike_nowhere():
    assert correlate(np.ones(50), walk(50, 3), min_overlap=10).best() is None
    assert correlate(np.full(50, np.nan), walk(50, 3), min_overlap=10).best() is None


def test_the_runner_up_is_far_from_the_best():
    wave = np.sin(np.arange(400) / 8)
    found = correlate(wave, wave, min_overlap=200)
    assert found.runner_up(20) > 0.95
    noise = np.random.default_rng(4).normal(size=400)
    assert correlate(noise, noise, min_overlap=200).runner_up(20) < 0.4


def test_smooth_signals_are_worth_fewer_samples():
    noise = np.random.default_rng(5).normal(size=(2, 600))
    smooth = np.array([np.convolve(row, np.ones(20) / 20, "same") for row in noise])
    assert independent_samples(*noise) > 400
    assert independent_samples(*smooth) < 80
    assert independent_samples(np.ones(50), np.ones(50)) == 0


def test_the_vertex_of_a_parabola_is_exact_and_stays_inside():
    x = np.arange(7.0)
    assert vertex(x, -((x - 2.3) ** 2)) == pytest.approx(2.3)
    assert vertex(x, x) == pytest.approx(6)
