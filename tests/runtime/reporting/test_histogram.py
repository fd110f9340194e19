"""Quantiles of the histogram are accurate to the width of a bin."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.reporting.histogram import Histogram


@given(st.lists(st.integers(10**3, 10**11), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_quantiles_are_accurate_to_half_a_bin(durations, share):
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    exact_ms = sorted(durations)[math.ceil(share * len(durations)) - 1] / 1e6
    assert histogram.quantile_ms(share) == pytest.approx(exact_ms, rel=0.51 * (Histogram.RATIO - 1))
    assert histogram.count == len(durations)


@given(st.integers(-(10**18), 10**18))
def test_every_duration_is_counted(duration):
    histogram = Histogram()
    histogram.add(duration)
    assert 1e-3 <= histogram.quantile_ms(0.5) <= 1.01e5
