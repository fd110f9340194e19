"""The skew histogram has every pair in one bin; averages are signed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.reporting.skew import EDGES_MS, Skew

MS = 1_000_000


@given(st.lists(st.integers(-100 * MS, 100 * MS), min_size=1))
def test_every_pair_is_in_the_bin_that_holds_it(skews):
    skew = Skew()
    for each in skews:
        skew.add(each)
    told = skew.stats()
    for bin_ in told.bins:
        end = float("inf") if bin_.to_ms is None else bin_.to_ms
        assert bin_.pairs == sum(bin_.from_ms <= abs(each) / 1e6 < end for each in skews)
    assert len(told.bins) == len(EDGES_MS)
    assert told.most_ms == max(map(abs, skews)) / 1e6
    assert told.right_later_ms == pytest.approx(sum(skews) / len(skews) / 1e6)
    assert told.p50_ms <= told.p95_ms <= told.most_ms
    assert f"at most {told.most_ms:.1f} ms" in skew.lines()[0]


def test_empty_skew_gives_no_report():
    assert Skew().lines() == []
