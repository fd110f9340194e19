"""A lost camera is reported within a second, the other view continues with a substitute, and a recovered camera is used again."""

import itertools
import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.availability import ABSENT_NS, UNSEEN_NS, CameraAvailability
from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View, other

MS = 1_000_000
PERIOD = 20 * MS
SILENCE = 10_000 * MS


def frame(view: View, at_ns: int) -> Frame:
    image = np.full((4, 6, 3), 9, np.uint8)
    image.flags.writeable = False
    return Frame(view, at_ns // PERIOD, at_ns, at_ns + 2 * MS, image)


def make(lasting: bool = True) -> CameraAvailability:
    names = PerView("0", "2")
    return CameraAvailability(names, Pairer(), lasting=PerView(lasting, lasting), silence_ns=SILENCE, started_ns=0)


class Room:
    """Two cameras and a fake clock."""

    def __init__(self, lasting: bool = True) -> None:
        self.availability = make(lasting)
        self.now_ns = 0
        self.pairs: list[tuple[int, FramePair]] = []

    def run(self, until_ns: int, views: Iterable[View] = VIEWS) -> None:
        """Let the cameras of `views` give frames, one a period."""
        while self.now_ns < until_ns:
            self.now_ns += PERIOD
            pairs = []
            for view in views:
                self.availability.heard(view, self.now_ns)
                pairs += self.availability.push(frame(view, self.now_ns))
            pairs += self.availability.check_silence(self.now_ns, lambda view: not self.availability.has_ended(view))
            self.pairs += [(self.now_ns, pair) for pair in pairs]


@pytest.mark.parametrize("gone", VIEWS)
def test_the_other_view_continues_within_a_second_and_both_after_recovery(gone, caplog):
    caplog.set_level(logging.INFO)
    room = Room()
    room.run(1000 * MS)
    room.run(3000 * MS, [other(gone)])
    room.run(4000 * MS)
    alone = [(at, pair) for at, pair in room.pairs if not pair.complete]
    assert 1000 * MS < alone[0][0] <= 2000 * MS
    # Each frame of the remaining camera is in a pair, without delay.
    assert [pair[other(gone)].captured_ns for _, pair in alone] == [at for at, _ in alone]
    assert [at for at, _ in alone] == list(range(alone[0][0], alone[-1][0] + 1, PERIOD))
    # In the period of the recovery, the other camera's frame may come first.
    assert 3000 * MS <= alone[-1][0] <= 3000 * MS + PERIOD
    for _, pair in alone:
        assert pair[gone].absent and not pair[other(gone)].absent
        assert pair.skew_ns == 0 and not pair[gone].image.any() and pair[gone].image.shape == (4, 6, 3)
        assert pair[gone].seq == 50
    assert all(pair.complete for at, pair in room.pairs if at > 3000 * MS + PERIOD)
    assert room.pairs[-1][0] == 4000 * MS
    assert room.availability.faults == {f"{gone}_absent": 1}
    left, back = caplog.messages
    assert left == f"{gone} camera: no frame for 0.5 s; going on with the {other(gone)} one"
    assert back.startswith(f"{gone} camera: back after 1.5 s")


def test_a_camera_that_reports_an_error_is_unavailable_at_once(caplog):
    room = Room()
    room.run(1000 * MS)
    assert not room.availability.lost("left", "unplugged", room.now_ns)
    room.run(1020 * MS, ["right"])
    assert not room.pairs[-1][1].complete
    assert caplog.messages == ["left camera: unplugged; going on with the right one"]


def test_without_cameras_the_stream_waits_and_then_ends():
    room = Room()
    room.run(1000 * MS)
    room.run(1000 * MS + SILENCE, [])
    assert not room.availability.ended
    room.run(1100 * MS + SILENCE, [])
    assert room.availability.ended
    assert room.availability.failure is not None and "no frame any more from '0' for 10 s" in room.availability.failure


def test_a_single_camera_continues_without_time_limit():
    room = Room()
    room.run(1000 * MS)
    room.run(5 * SILENCE, ["right"])
    assert not room.availability.ended and room.availability.failure is None
    assert room.pairs[-1][0] == room.now_ns


def test_a_camera_without_a_first_frame_is_gone_on_without_and_used_once_it_comes():
    room = Room()
    room.availability.announced("right", (8, 5), 70.0)
    room.run(UNSEEN_NS, ["left"])
    assert not room.pairs
    room.run(2 * SILENCE, ["left"])
    assert room.availability.failure is None and room.availability.faults == {"right_absent": 1}
    for _, pair in room.pairs:
        assert pair.right.absent and not pair.left.absent and pair.skew_ns == 0
        assert pair.right.image.shape == (5, 8, 3) and not pair.right.image.any() and pair.right.fov_deg == 70.0
    room.run(2 * SILENCE + 100 * MS)
    assert room.pairs[-1][1].complete


def test_a_stand_in_for_a_camera_that_announced_nothing_has_the_other_ones_size():
    room = Room()
    room.run(3000 * MS, ["right"])
    assert room.pairs[-1][1].left.image.shape == (4, 6, 3)


def test_two_cameras_without_a_frame_end_the_stream_and_the_one_with_a_reason_is_named():
    room = Room()
    room.availability.check_silence(SILENCE, lambda view: True)
    assert not room.availability.ended
    room.availability.check_silence(SILENCE + 1, lambda view: True, PerView(None, "its JPEGs are cut off"))
    assert room.availability.failure == "right camera: no usable frame from '2' for 10 s; its JPEGs are cut off"


def test_a_recording_without_a_first_frame_ends_the_stream():
    room = Room(lasting=False)
    room.run(SILENCE + PERIOD, ["left"])
    failure = room.availability.failure
    assert failure is not None and failure.startswith("right camera: no frame from '2' for 10 s")


def test_late_frames_do_not_count_as_heard():
    room = Room()
    room.run(1000 * MS)
    for at_ns in range(1000 * MS, 2000 * MS, PERIOD):
        room.availability.push(replace(frame("left", 1000 * MS), received_ns=at_ns))
    assert room.availability.silent_ns("left", 2000 * MS) >= 990 * MS


def test_a_recording_that_stops_ends_the_stream():
    room = Room(lasting=False)
    room.run(1000 * MS)
    room.availability.lost("left", "its process died", room.now_ns)
    assert room.availability.ended and room.availability.failure == "left camera: its process died"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(VIEWS), st.integers(-40, 1500), st.booleans()), max_size=60))
def test_order_and_frame_counts_hold_when_cameras_come_and_go(steps):
    """With gaps, late frames and reported failures: each frame is in one pair, counted as dropped, or waiting."""
    availability, now_ns, pushed, pairs = make(), 100 * MS, 0, []
    for view, step_ms, goes in steps:
        now_ns += max(0, step_ms) * MS
        availability.check_silence(now_ns, lambda view: not availability.has_ended(view))
        if availability.ended:
            break
        if goes:
            availability.lost(view, "unplugged", now_ns)
            continue
        availability.heard(view, now_ns)
        pushed += 1
        pairs += availability.push(frame(view, now_ns + min(0, step_ms) * MS))
    if not availability.ended:
        pairs += [pair for view in VIEWS for pair in availability.end(view)]
        assert sum(1 + pair.complete for pair in pairs) + sum(availability._pairer.drops.values()) == pushed
    for view in VIEWS:
        times = [pair[view].captured_ns for pair in pairs if not pair[view].absent]
        assert all(a < b for a, b in itertools.pairwise(times))


def test_a_pause_below_the_timeout_is_not_unavailability():
    room = Room()
    room.run(1000 * MS)
    room.run(1000 * MS + ABSENT_NS, ["right"])
    room.run(2000 * MS)
    assert not room.availability.faults and all(pair.complete for _, pair in room.pairs)
