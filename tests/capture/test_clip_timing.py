"""The clock that two clips share: one moment has one time on it, whichever clip shows it."""

import pytest

from capture.clip_timing import ClipTiming


@pytest.mark.parametrize("offset_s", [-2.0, 0.0, 0.5])
@pytest.mark.parametrize("rate", [0.125, 0.5, 1.0, 1.2, 8.0])
def test_one_moment_has_one_time(offset_s, rate):
    left, right = ClipTiming.of(offset_s, rate)
    for moment_s in (3.0, 4.5):
        # In the time of the clip that plays faster, counted from the left clip's beginning.
        in_left_s, in_right_s = moment_s * max(1, 1 / rate), (moment_s - offset_s) * max(1, rate)
        assert left.shared_ns(round(in_left_s * 1e9)) == pytest.approx(right.shared_ns(round(in_right_s * 1e9)), abs=10)


@pytest.mark.parametrize("offset_s", [-2.0, 0.0, 0.5])
def test_the_clock_begins_where_the_later_clip_does(offset_s):
    timings = ClipTiming.of(offset_s, 1.0)
    assert max(timing.shared_ns(0) for timing in timings) == 0


def test_slower_clips_are_brought_to_the_faster_ones_time():
    assert [timing.slower for timing in ClipTiming.of(0, 8)] == [1, 8]
    assert [timing.slower for timing in ClipTiming.of(0, 0.125)] == [8, 1]
