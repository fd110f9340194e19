"""The loop processes all pairs and shows frames in order; clip end, closed window, time limit and errors end it."""

import threading
from collections import deque

import pytest

from runtime.loop import StopFlag, ViewerFrame, ViewerQueue, first_pair, run_loop
from runtime.reporting.report import Report
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair


class ListedPairs:
    """A source of listed pairs; with `open_ended` it does not end after them."""

    def __init__(self, count: int, *, open_ended: bool = False):
        self.left = deque(frame_pair(seq) for seq in range(count))
        self.open_ended = open_ended

    @property
    def ended(self) -> bool:
        return not self.left and not self.open_ended

    def next_pair(self, timeout_s: float):
        return self.left.popleft() if self.left else None


class OneHandPipeline:
    def step(self, pair):
        return [dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)]


class FailingPipeline:
    def step(self, pair):
        raise ZeroDivisionError("a bug")


class RecordingScreen:
    """Records the shown pairs; its window closes after `closes_after` of them."""

    def __init__(self, closes_after: float = float("inf")):
        self.shown: list[int] = []
        self.closed = False
        self.closes_after = closes_after

    def show(self, pair, hand, status):
        self.shown.append(pair.left.seq)
        return len(self.shown) < self.closes_after

    def close(self):
        self.closed = True


def run(pairs, pipeline=None, *, screen=None, **options) -> Report:
    report, stop = Report(live=True, hand_size_mm=90), StopFlag()
    first = first_pair(pairs, stop)
    assert first is not None
    make_screen = (lambda: screen) if screen else None
    run_loop(first, pairs, pipeline or OneHandPipeline(), report, make_screen=make_screen, stop=stop, **options)
    return report


def test_loop_ends_with_the_clip_and_shows_every_pair_once_in_order():
    screen = RecordingScreen()
    assert run(ListedPairs(12), screen=screen, every_pair=True).pairs == 12
    assert screen.shown == list(range(12))
    assert screen.closed


def test_shown_hands_have_latencies_of_all_stages():
    assert run(ListedPairs(12), screen=RecordingScreen(), every_pair=True).stats({}).steps["merged_shown"].count == 12
    assert "merged_shown" not in run(ListedPairs(12)).stats({}).steps


def test_outputs_get_every_pair_in_order():
    class RecordingOutput(list):
        def take(self, pair, hands):
            self.append((pair.left.seq, len(hands)))

    outputs = RecordingOutput(), RecordingOutput()
    run(ListedPairs(5), outputs=outputs)
    assert outputs[0] == outputs[1] == [(seq, 1) for seq in range(5)]


def test_live_frames_are_shown_in_order():
    screen = RecordingScreen()
    assert run(ListedPairs(12), screen=screen).pairs == 12
    assert screen.shown == sorted(screen.shown)
    assert screen.closed


@pytest.mark.parametrize("every_pair", [False, True])
def test_a_closed_window_ends_the_loop(every_pair):
    screen = RecordingScreen(closes_after=1)
    run(ListedPairs(50, open_ended=True), screen=screen, every_pair=every_pair)
    assert len(screen.shown) == 1
    assert screen.closed


def test_time_limit_ends_the_loop():
    assert run(ListedPairs(3, open_ended=True), seconds=0.01).pairs >= 1


def test_a_screen_that_opens_after_the_time_limit_shows_one_frame():
    screen = RecordingScreen()
    # The limit is over before the screen is there.
    run(ListedPairs(3, open_ended=True), screen=screen, seconds=1e-9)
    assert len(screen.shown) == 1
    assert screen.closed


def test_an_error_of_the_pipeline_reaches_the_caller_and_closes_the_screen():
    screen = RecordingScreen()
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(ListedPairs(3), FailingPipeline(), screen=screen)
    assert screen.closed
    assert all(thread.name != "hands" for thread in threading.enumerate())


def test_a_stream_that_ends_before_its_first_pair_gives_none():
    assert first_pair(ListedPairs(0), StopFlag()) is None


def test_viewer_queue_keeps_the_newest_or_every_frame():
    items = [ViewerFrame(frame_pair(seq), None, "") for seq in range(2)]
    newest, every = ViewerQueue(every=False), ViewerQueue(every=True)
    for item in items:
        newest.put(item, StopFlag())
        every.put(item, StopFlag())
    assert [newest.get(0), newest.get(0)] == [items[1], None]
    assert [every.get(0), every.get(0), every.get(0)] == [*items, None]
