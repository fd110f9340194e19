"""Rates, quantiles, shares and errors of the summary match what was added."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from runtime.calibration.status import CalibrationCheck, CalibrationPhase, CalibrationStatus
from runtime.reporting.report import Report
from runtime.reporting.run_stats import Stats, write_stats
from tests.runtime.dual_hands import MS, R_RIGHT_FROM_LEFT, dual_hand, frame_pair


def fed(report: Report, seen: list) -> Report:
    """A report of pairs every 40 ms whose hand was seen by the named views."""
    for seq, views in enumerate(seen):
        pair = frame_pair(seq)
        hands = [dual_hand(pair, seen_by=views, rotation=R_RIGHT_FROM_LEFT)] if views else []
        report.add(pair, hands, seq * 40 * MS, seq * 40 * MS + 10 * MS)
    return report


def test_the_rotation_of_a_given_calibration_comes_with_what_hands_say_of_it():
    """And never with an uncertainty that nobody has measured."""
    report = Report(live=True, hand_size_mm=90)
    pair = frame_pair(0)
    hand = replace(dual_hand(pair, rotation=R_RIGHT_FROM_LEFT), rotation_uncertainty_deg=None)
    report.add(pair, [hand], 0, 10 * MS)
    report.calibration = lambda: CalibrationStatus(CalibrationPhase.GIVEN, check=CalibrationCheck())
    (line,) = (line for line in report.summary({}).splitlines() if line.startswith("rotation"))
    assert line.endswith("deg between the views, as calibrated, not tested yet") and "+-" not in line
    assert "as calibrated, not tested yet" in report.status()
    stats = report.stats({}).rotation
    assert stats is not None and stats.uncertainty_deg is None


def test_summary_lists_pairs_hands_and_drops():
    report = fed(Report(live=True, hand_size_mm=90), [("left", "right")] * 6 + [("left",)] * 2 + [("right",), ()])
    summary = report.summary({"late": 3, "lost": 0})
    assert report.pairs_per_s == pytest.approx(25)
    for words in (
        "10 at 25.0 pairs/s",
        "p50 20.0 ms",
        "captured > received        2.0     2.0     2.0",
        "cropped > inferred        11.0    11.0    11.0",
        "p50 1.0 ms, p95 1.0 ms, at most 1.0 ms between",
        "1 to 2 ms     100 %",
        "both views 60 %, left only 20 %, right only 10 %, none 10 %",
        "late 3",
        "+- 1.5",
    ):
        assert words in summary
    assert "lost" not in summary
    assert "cameras" not in summary
    assert "cameras    left_absent 2, left_restarts 1" in report.summary({}, {"left_restarts": 1, "left_absent": 2})
    assert "synthetic" not in summary


def test_the_summary_says_what_the_calibration_came_to():
    report = fed(Report(live=False, hand_size_mm=90), [("left", "right")] * 3)
    report.calibration_lines = lambda: [("calibrated", "after 3.2 s: 43.1 deg apart"), ("place", "known of 2 of 3 hands")]
    lines = report.summary({}).splitlines()
    assert "calibrated after 3.2 s: 43.1 deg apart" in lines and "place      known of 2 of 3 hands" in lines


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


def test_status_line_shows_calibration_or_else_the_rotation():
    report = Report(live=True, hand_size_mm=90)
    assert "+- 1.5 deg apart" in fed(report, [("left", "right")] * 3).status()
    report.calibration = lambda: CalibrationStatus(CalibrationPhase.NEEDS_MOTION)
    assert "move and turn the hand" in report.status() and "deg apart" not in report.status()


def test_stats_round_trip_through_their_file(tmp_path):
    report = fed(Report(live=True, hand_size_mm=90), [("left", "right")] * 6 + [("left",), ()])
    report.sections["adaptation"] = lambda: {"steps": 3}
    report.sections["nothing"] = lambda: None
    hand = dual_hand(frame_pair(0))
    report.add_shown(replace(hand, timings=replace(hand.timings, shown_ns=hand.timings.merged_ns + 9 * MS)))
    write_stats(tmp_path / "made" / "stats.json", report.stats({"late": 3, "lost": 0}))
    stats = msgspec.json.decode((tmp_path / "made" / "stats.json").read_bytes(), type=Stats)
    assert (stats.pairs, stats.seen_by, stats.drops) == (8, {"both": 6, "left": 1, "right": 0, "none": 1}, {"late": 3})
    assert list(stats.steps) == [
        "captured_received",
        "received_paired",
        "paired_started",
        "started_cropped",
        "cropped_inferred",
        "inferred_merged",
        "merged_shown",
    ]
    assert [each.count for each in stats.steps.values()] == [7] * 6 + [1]
    assert sum(each.p50_ms for each in stats.steps.values()) == pytest.approx(29, rel=0.01)
    assert (stats.skew.most_ms, stats.skew.right_later_ms, sum(each.pairs for each in stats.skew.bins)) == (1.0, 1.0, 8)
    assert stats.sections == {"adaptation": {"steps": 3}}


def test_what_was_not_measured_is_null(tmp_path):
    write_stats(tmp_path / "stats.json", Report(live=False, hand_size_mm=90).stats({}))
    stats = msgspec.json.decode((tmp_path / "stats.json").read_bytes())
    assert (stats["pairs"], stats["steps"], stats["rotation"], stats["error_mm"]) == (0, {}, None, None)
    assert stats["latency"] == {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None}


def test_latency_of_files_is_counted_from_the_start_of_processing():
    stats = fed(Report(live=False, hand_size_mm=90), [("left",)] * 3).stats({})
    assert list(stats.steps) == ["started_cropped", "cropped_inferred", "inferred_merged"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match=tmp_path.name):
        write_stats(tmp_path, Report(live=True, hand_size_mm=90).stats({}))
