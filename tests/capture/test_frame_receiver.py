"""Received messages become pairs; malformed, lost, replaced and overdue frames are counted or reported."""

import numpy as np
import pytest

from capture import wire
from capture.clock import Probe, RemoteClock
from capture.frame_receiver import FrameReceiver
from capture.views import VIEWS, PerView, View

IMAGE = np.zeros((4, 6, 3), np.uint8)
SECOND = 1_000_000_000


def message(view: View, seq: int) -> list[bytes]:
    return wire.encode(view, seq, 100 * seq, IMAGE)


def make_receiver(*, newest: bool = True) -> FrameReceiver:
    names = PerView("ipc://l", "ipc://r")
    return FrameReceiver(names, newest=newest, started_ns=0, silence_ns=SECOND, tolerance_ns=10)


def test_every_received_frame_is_paired_dropped_or_waiting():
    receiver = make_receiver()
    pairs = []
    for seq in range(5):
        pairs += receiver.take("left", [message("left", seq)], seq)
        if seq != 2:
            pairs += receiver.take("right", [message("right", seq)], seq)
    for view in VIEWS:
        pairs += receiver.take(view, [wire.encode_end(view, 5)], 9)
    assert [(pair.left.seq, pair.right.seq) for pair in pairs] == [(0, 0), (1, 1), (3, 3), (4, 4)]
    assert receiver.received == PerView(5, 4)
    assert receiver.all_drops == {"out_of_tolerance": 1, "lost": 1}
    assert receiver.ended and receiver.failure is None


@pytest.mark.parametrize(
    "garbage",
    [
        [b"left"],
        [b"left", b"\xc1", b""],
        message("right", 0),
        [*message("left", 0)[:2], b"short"],
        [b"left", wire.encode("left", 0, 0, IMAGE, "jpeg")[1], b"no jpeg"],
    ],
)
def test_a_malformed_message_is_counted_and_the_stream_goes_on(garbage):
    receiver = make_receiver()
    assert not receiver.take("left", [garbage], 0)
    assert receiver.all_drops == {"malformed": 1}
    assert receiver.complaint is not None and "left camera" in receiver.complaint
    assert receiver.received == PerView(0, 0)
    receiver.take("left", [message("left", 1)], 1)
    assert len(receiver.take("right", [message("right", 1)], 1)) == 1


def test_live_only_the_newest_frame_of_a_batch_is_used():
    receiver = make_receiver()
    receiver.take("left", [message("left", seq) for seq in range(4)], 0)
    (pair,) = receiver.take("right", [message("right", seq) for seq in range(4)], 0)
    assert pair.left.seq == pair.right.seq == 3
    assert receiver.all_drops == {"superseded": 6}


def test_every_pair_mode_holds_back_the_view_that_is_ahead():
    receiver = make_receiver(newest=False)
    sent = 0
    while receiver.wants("left"):
        receiver.take("left", [message("left", sent)], 0)
        sent += 1
    assert receiver.wants("right")
    pairs = receiver.take("right", [message("right", seq) for seq in range(sent)], 0)
    assert receiver.wants("left")
    for view in VIEWS:
        pairs += receiver.take(view, [wire.encode_end(view, sent)], 0)
    assert [pair.left.seq for pair in pairs] == list(range(sent))
    assert not receiver.all_drops


def test_a_restarted_sender_is_not_counted_as_loss():
    receiver = make_receiver()
    for seq in (7, 8, 0, 1, 4):
        receiver.take("left", [wire.encode("left", seq, receiver.received.left, IMAGE)], 0)
    assert receiver.all_drops == {"lost": 2}


def test_a_failed_camera_ends_the_stream_with_its_message():
    receiver = make_receiver()
    receiver.take("right", [wire.encode_end("right", 0, "unplugged")], 0)
    assert receiver.ended
    assert receiver.failure == "right camera: unplugged"


def test_a_silent_view_times_out_with_an_error_that_names_it():
    receiver = make_receiver()
    receiver.take("left", [message("left", 0)], SECOND)
    receiver.check_silence(SECOND)
    assert not receiver.ended
    receiver.check_silence(SECOND + 1)
    assert receiver.ended
    assert receiver.failure == "right camera: no frame from 'ipc://r' for 1 s; check that it runs and publishes view 'right'"


def test_frames_of_another_clock_are_converted_once_its_offset_is_known():
    clock, requests = RemoteClock(), []

    def clock_of(view: View, port: int) -> RemoteClock | None:
        requests.append((view, port))
        return clock

    names = PerView("tcp://headset:1", "ipc://r")
    receiver = FrameReceiver(names, newest=True, started_ns=0, silence_ns=9**9, tolerance_ns=10**6, clock_of=clock_of)
    hour, now = 3600 * SECOND, 50 * SECOND

    pairs = []

    def take(seq: int, stamped_ns: int) -> None:
        nonlocal pairs
        now_ns = now + seq * 10**7
        pairs += receiver.take("right", [wire.encode("right", seq, now_ns, IMAGE)], now_ns + 1000)
        pairs += receiver.take("left", [wire.encode("left", seq, stamped_ns, IMAGE, clock_port=7)], now_ns + 1000)

    take(0, now + hour)
    assert receiver.all_drops == {"unsynchronised": 1}
    clock.add(Probe(now, now + hour + 1000, now + 2000))
    take(1, now + 10**7 + hour)
    # After a forward clock step frames seem to be from the future: they are dropped, and the clock is probed at once.
    take(2, now + 2 * 10**7 + 2 * hour)
    assert receiver.drops["ahead"] == 1 and clock.suspected
    clock.add(Probe(now + 3 * 10**7 - 2000, now + 3 * 10**7 - 1000 + 2 * hour, now + 3 * 10**7))
    assert clock.steps == 1 and not clock.suspected and clock.answers == 2
    take(3, now + 3 * 10**7 + 2 * hour)
    for view in VIEWS:
        pairs += receiver.take(view, [wire.encode_end(view, 4)], now + SECOND)
    assert [(pair.left.seq, pair.right.seq) for pair in pairs] == [(1, 1), (3, 3)]
    assert all(abs(pair.skew_ns) < 2000 for pair in pairs)
    assert set(requests) == {("left", 7)}


def test_every_pair_mode_holds_frames_until_their_clock_is_known():
    clock = RemoteClock()
    names = PerView("tcp://headset:1", "ipc://r")
    receiver = FrameReceiver(
        names, newest=False, started_ns=50 * SECOND, silence_ns=SECOND, tolerance_ns=10**6, clock_of=lambda view, port: clock
    )
    now = 50 * SECOND
    assert not receiver.take("left", [wire.encode("left", 0, now + SECOND, IMAGE, clock_port=7)], now)
    assert not receiver.wants("left") and receiver.wants("right")
    assert not receiver.check_silence(now + 10) and not receiver.ended
    clock.add(Probe(now, now + SECOND + 1000, now + 2000))
    receiver.check_silence(now + 20)
    assert receiver.wants("left") and not receiver.all_drops
    pairs = receiver.take("right", [wire.encode("right", 0, now, IMAGE)], now + 30)
    for view in VIEWS:
        pairs += receiver.take(view, [wire.encode_end(view, 1)], now + 40)
    assert [pair.left.seq for pair in pairs] == [0] and not receiver.all_drops


def test_a_view_does_not_time_out_while_nobody_reads_it():
    receiver = make_receiver()
    receiver.held_up(5 * SECOND)
    receiver.check_silence(6 * SECOND)
    assert not receiver.ended
    # A view that has ended cannot time out; the other still can.
    receiver.take("left", [message("left", 0)], 6 * SECOND)
    receiver.take("left", [wire.encode_end("left", 1)], 6 * SECOND)
    receiver.check_silence(6 * SECOND + 1)
    assert receiver.failure is not None and receiver.failure.startswith("right camera")
