"""What two headers tell of a pair of clips."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capture.clip_pair import compare_headers
from capture.clip_timing import ClipTiming
from capture.sources.clip_header import ClipHeader
from capture.views import PerView

BEGUN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def header(duration_s: float | None = 6.3, created_at: datetime | None = None) -> ClipHeader:
    return ClipHeader(Path("a.mp4"), 30.0, duration_s, 0, 1.0, created_at)


@pytest.mark.parametrize(("seconds", "told"), [(6.3, 0), (6.9, 0), (50.4, 1), (2.1, 1), (None, 0)])
def test_lengths_that_differ_are_told(seconds, told):
    findings = compare_headers(PerView(header(), header(seconds)))
    assert [finding.kind for finding in findings] == ["clip_lengths"] * told
    assert {finding.level for finding in findings} <= {"info"}


def test_a_clip_in_slow_motion_is_as_long_as_what_it_shows_once_that_is_given():
    headers = PerView(header(), header(50.4))
    (finding,) = compare_headers(headers)
    assert finding.text.startswith("the right clip lasts 50.4 s and the left one 6.3 s (8.0 times as long)")
    assert "--rate auto" in finding.text
    assert compare_headers(headers, ClipTiming.of(0.0, 8.0)) == []
    (given,) = compare_headers(headers, ClipTiming.of(0.0, 2.0))
    assert "lasts 25.2 s" in given.text and "--rate" not in given.text


def test_clips_that_were_begun_at_different_times_are_told_unless_an_offset_is_given():
    headers = PerView(header(created_at=BEGUN), header(created_at=BEGUN + timedelta(seconds=2)))
    (finding,) = compare_headers(headers)
    assert finding.kind == "clip_creation_times"
    assert finding.text.startswith("by their headers the right clip was begun 2 s after the other")
    assert compare_headers(headers, ClipTiming.of(2.0, 1.0)) == []
    for right in (BEGUN, None):
        assert compare_headers(PerView(header(created_at=BEGUN), header(created_at=right))) == []
