"""The summary: rates, quantiles, shares and errors are those of what was added."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.report import Histogram, Report
from tests.runtime.dual_hands import MS, R_RIGHT_FROM_LEFT, dual_hand, frame_pair


@given(st.lists(st.integers(0, 4_000 * MS), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_the_sorted_lists_to_a_step(durations, share):
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    exact_ms = sorted(durations)[math.ceil(share * len(durations)) - 1] / 1e6
    assert histogram.quantile_ms(share) == pytest.approx(exact_ms, abs=Histogram.STEP_MS)


def fed(report: Report, seen: list) -> Report:
    """A report of pairs every 40 ms whose hand was seen by the named views."""
    for seq, views in enumerate(seen):
        pair = frame_pair(seq)
        hands = [dual_hand(pair, seen_by=views, rotation=R_RIGHT_FROM_LEFT)] if views else []
        report.add(pair, hands, seq * 40 * MS, seq * 40 * MS + 10 * MS)
    return report


def test_the_summary_says_what_happened():
    report = fed(Report(live=True, hand_size_mm=90), [("left", "right")] * 6 + [("left",)] * 2 + [("right",), ()])
    summary = report.summary({"late": 3, "lost": 0})
    assert report.pairs_per_s == pytest.approx(25)
    for words in (
        "10 at 25.0 pairs/s",
        "p50 20.1 ms",
        "both views 60 %, left only 20 %, right only 10 %, none 10 %",
        "late 3",
        "+- 1.5",
    ):
        assert words in summary
    assert "lost" not in summary
    assert "cameras" not in summary
    assert "cameras    left_absent 2, left_restarts 1" in report.summary({}, {"left_restarts": 1, "left_absent": 2})
    assert "synthetic" not in summary


def test_a_run_over_files_has_no_latency():
    assert "latency" not in fed(Report(live=False, hand_size_mm=90), [("left",)] * 3).summary({})


def test_the_error_is_in_millimetres_of_the_hand_and_ignores_place_and_size():
    pair = frame_pair(0)
    hand = dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)
    offset = np.zeros((21, 3))
    offset[20] = 0, 0, 0.21
    report = Report(live=True, hand_size_mm=100, true_hand=lambda _: (hand.joints + offset) * 3 + 500)
    assert "error      1.0 mm" in fed(report, [("left", "right")] * 2).summary({})


def test_a_run_without_a_pair_says_so():
    assert Report(live=True, hand_size_mm=90).summary({"no_partner": 2}).splitlines()[0] == "no pair of frames arrived"


def test_the_status_line_is_plain_ascii_because_the_viewer_draws_nothing_else():
    report = Report(live=True, hand_size_mm=90)
    for seen in ([("left", "right")] * 3, [("left",)], [()]):
        assert fed(report, seen).status().isascii()
