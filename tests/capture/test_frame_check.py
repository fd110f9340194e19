"""What senders get wrong is found within three seconds, named with its view, and the view that works goes on."""

import gc
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from capture import wire
from capture.frame_check import CheckedView, FrameCheck
from capture.frame_receiver import FrameReceiver
from capture.frames import FramePair
from capture.views import VIEWS, PerView, View
from hand.findings import Finding, Findings

SECOND = 1_000_000_000
PERIOD = SECOND // 30
START = 5000 * SECOND
WALL = 1_800_000_000 * SECOND
IMAGE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
LASTING = PerView(True, True)

Change = Callable[[View, int, list[bytes]], list[bytes] | None]
"""Makes a message of view and number wrong; None leaves it out."""


def header(message: list[bytes], **changes: object) -> list[bytes]:
    """The message with some fields of its header changed."""
    fields = msgspec.msgpack.decode(message[1]) | changes
    return [message[0], msgspec.msgpack.encode(fields), message[2]]


def stamped(make: Callable[[int], object], views: tuple[View, ...] = VIEWS) -> Change:
    """Changes the times of some views."""
    return lambda view, n, message: (
        header(message, captured_ns=make(msgspec.msgpack.decode(message[1])["captured_ns"])) if view in views else message
    )


@dataclass
class Room:
    """Two feeds, a receiver and a fake clock."""

    live: bool = True
    lasting: PerView[bool] = LASTING
    one_socket: bool = False
    silent: str | None = None
    findings: Findings = field(default_factory=Findings)
    pairs: list[FramePair] = field(default_factory=list)
    now_ns: int = START
    sent: int = 0

    def __post_init__(self) -> None:
        names = PerView("tcp://headset:1", "tcp://headset:2")
        views = PerView.of(lambda view: CheckedView(names[view], feed=True, lasting=self.lasting[view]))
        check = FrameCheck(
            views,
            self.findings,
            START,
            live=self.live,
            wall_minus_monotonic_ns=WALL,
            why_silent=lambda view: self.silent,
        )
        self.receiver = FrameReceiver(
            names,
            newest=self.live,
            started_ns=START,
            silence_ns=10 * SECOND,
            lasting=self.lasting,
            check=check,
            one_socket=self.one_socket,
        )

    def run(self, seconds: float, change: Change = lambda view, n, message: message, format: wire.Format = "jpeg") -> None:
        """Let both feeds send for some seconds."""
        until_ns = self.now_ns + round(seconds * SECOND)
        while self.now_ns < until_ns and not self.receiver.ended:
            self.now_ns += PERIOD
            for view in VIEWS:
                message = change(view, self.sent, wire.encode(view, self.sent, self.now_ns - 5_000_000, IMAGE, format))
                if message is not None:
                    self.pairs += self.receiver.take(view, [message], self.now_ns)
            self.sent += 1
            self.pairs += self.receiver.check_silence(self.now_ns)

    def found(self, kind: str) -> Finding:
        """The one finding, which is of this kind."""
        (finding,) = self.findings.all
        assert finding.kind == kind, finding
        return finding

    def alone(self, view: View, after: int = 0) -> bool:
        """Whether pairs come, and hold this view's frames only."""
        pairs = self.pairs[after:]
        return bool(pairs) and all(not pair[view].absent and not pair.complete for pair in pairs)


def cut(view: View, n: int, message: list[bytes]) -> list[bytes]:
    """The right view's JPEGs are cut off."""
    return message if view == "left" else [*message[:2], message[2][: len(message[2]) * 4 // 10]]


def test_feeds_without_fault_have_no_findings():
    room = Room()
    room.run(10)
    assert not room.findings.all and len(room.pairs) > 290 and all(pair.complete for pair in room.pairs)


def test_images_that_cannot_be_decoded_are_named_and_the_other_view_goes_on(caplog):
    room = Room()
    room.run(2.5, cut)
    finding = room.found("images_undecodable")
    assert finding.view == "right" and finding.level == "error"
    assert "frames of the right feed cannot be decoded, going on with the left one: a JPEG of" in finding.text
    assert "cut off" in finding.text
    assert room.alone("left") and room.pairs[0].right.image.shape == IMAGE.shape
    room.run(20, cut)
    assert not room.receiver.ended and room.alone("left")
    count, of, *_ = room.found("images_undecodable").text.replace(" of", "").split()
    assert count == of and int(count) > 600
    # Said once, however long it lasts.
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    # A sender that is mended is used again, and what was is no failure of the run any more.
    room.run(3)
    assert room.pairs[-1].complete and not room.findings.failed


def test_a_refused_message_is_not_kept():
    class Payload(bytearray):
        """Bytes that a weak reference can follow."""

    room, payload = Room(), Payload(b"no JPEG")
    kept = weakref.ref(payload)
    topic, head, _ = wire.encode("left", 0, START, IMAGE, "jpeg")
    room.receiver.take("left", [[topic, head, memoryview(payload)]], START)
    del payload
    gc.collect()
    assert room.receiver.all_drops["malformed"] == 1 and kept() is None


def test_some_damaged_images_are_a_warning():
    room = Room()
    room.run(3, lambda view, n, message: cut(view, n, message) if n % 3 == 0 else message)
    assert room.found("images_undecodable").level == "warning" and room.pairs[-1].complete


def test_few_damaged_images_are_only_counted():
    room = Room()
    room.run(30, lambda view, n, message: cut(view, n, message) if n % 100 == 0 else message)
    assert not room.findings.all and room.receiver.all_drops["malformed"] == 10


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda view, n, message: header(message, version=3), ("version 3", "expected 1 or 2")),
        (stamped(float), ("captured_ns", "Expected `int`, got `float`")),
        (lambda view, n, message: header(message, timestamp=n), ("unknown field `timestamp`",)),
        (lambda view, n, message: message[1:], ("2 parts", "expected 3")),
        (lambda view, n, message: [message[0], b"{}", message[2]], ("does not follow the protocol",)),
    ],
)
def test_headers_that_do_not_follow_the_protocol_are_named(change, says):
    room = Room()
    room.run(2.5, lambda view, n, message: change(view, n, message) if view == "left" else message)
    finding = room.found("messages_malformed")
    assert finding.view == "left" and "messages of the left feed are refused, going on with the right one" in finding.text
    assert all(part in finding.text for part in says) and "PROTOCOL.md" in finding.text
    assert room.alone("right")


def test_where_neither_view_is_usable_the_stream_ends_with_the_reason():
    room = Room()
    room.run(15, lambda view, n, message: header(message, version=3))
    assert room.receiver.ended and room.receiver.failure is not None
    assert "no usable frame from 'tcp://headset:1' for 10 s; its latest malformed message was a header of version 3" in (
        room.receiver.failure
    )
    assert {finding.view for finding in room.findings.all} == set(VIEWS)


def test_this_hosts_wall_clock_is_named_and_converted():
    room = Room()
    room.run(6, stamped(lambda ns: ns + WALL, ("left",)))
    finding = room.found("times_wall_clock")
    assert "1.8e+09 s apart" in finding.text and "clock_port" in finding.text
    assert "the left feed stamps by the wall clock (time since 1970), the right view by a monotonic clock" in finding.text
    assert finding.view == "left" and finding.level == "warning"
    assert len(room.pairs) > 90 and all(pair.complete and pair.skew_ns == 0 for pair in room.pairs)
    assert all(0 < pair.left.received_ns - pair.left.captured_ns < SECOND for pair in room.pairs)
    # A sender that is mended is taken as it is.
    room.run(4)
    assert room.pairs[-1].complete and room.pairs[-1].skew_ns == 0


@pytest.mark.parametrize("off_s", [-3600, 7200])
def test_a_wall_clock_that_is_set_otherwise_is_named_and_the_other_view_goes_on(off_s):
    room = Room()
    change = stamped(lambda ns: ns + WALL + off_s * SECOND, ("left",))
    room.run(4, change)
    finding = room.found("views_apart")
    assert "1.8e+09 s apart" in finding.text and "clock_port" in finding.text and finding.level == "error"
    assert "the left feed stamps by the wall clock (time since 1970), the right one by a monotonic clock" in finding.text
    assert "going on with the right one" in finding.text
    room.run(10, change)
    assert room.alone("right") and room.receiver.all_drops["apart"] > 300


@pytest.mark.parametrize("seconds", [-3.2, 3.2])
def test_views_seconds_apart_are_named_and_used_again_once_they_meet(seconds):
    room = Room()
    change = stamped(lambda ns: ns + round(seconds * SECOND), ("right",))
    room.run(4, change)
    finding = room.found("views_apart")
    assert "the views' times are 3.2 s apart" in finding.text and f"right {seconds:+.1f} s" in finding.text
    assert room.alone("left")
    room.run(5)
    assert room.pairs[-1].complete and not room.findings.failed


def test_a_view_that_was_set_aside_goes_on_where_its_partner_stops():
    room = Room()
    change = stamped(lambda ns: ns + 60 * SECOND, ("left",))
    room.run(4, change)
    so_far = len(room.pairs)
    room.run(4, lambda view, n, message: change(view, n, message) if view == "left" else None)
    assert room.alone("left", so_far)


@pytest.mark.parametrize(
    ("make", "kind", "says", "level"),
    [
        (lambda ns: ns // 1000, "times_unit", "1,000 times too slowly", "error"),
        (lambda ns: ns // 10**9, "times_unit", "seconds", "error"),
        (lambda ns: ns + 3600 * SECOND, "times_ahead", "3600.0 s after they arrive", "warning"),
        (lambda ns: ns - 3600 * SECOND, "times_behind", "3600.0 s before they arrive", "warning"),
        (lambda ns: ns + WALL - 3600 * SECOND, "times_wall_clock", "wall clock", "warning"),
        (lambda ns: 123456789, "times_constant", "all frames are stamped 123456789 ns", "error"),
    ],
)
def test_times_that_are_wrong_in_both_views_are_one_finding(make, kind, says, level):
    room = Room()
    room.run(3, stamped(make))
    finding = room.found(kind)
    assert finding.text.startswith("both feeds: ") and says in finding.text
    assert finding.view is None and finding.level == level


def test_wall_clocks_of_both_views_are_converted():
    room = Room()
    room.run(4, stamped(lambda ns: ns + WALL))
    assert room.found("times_wall_clock").text.startswith("both feeds stamp by the wall clock")
    assert all(pair.complete for pair in room.pairs)
    assert 0 < room.pairs[-1].left.received_ns - room.pairs[-1].left.captured_ns < SECOND


@pytest.mark.parametrize("make", [lambda ns: ns // 1000, lambda ns: 123456789])
def test_a_view_without_a_time_is_gone_on_without(make):
    room = Room()
    room.run(5, stamped(make, ("right",)))
    finding = next(found for found in room.findings.all if found.view == "right")
    assert finding.kind in ("times_unit", "times_constant") and "going on with the left one" in finding.text
    assert room.alone("left")


def test_frames_that_come_and_cannot_be_used_are_not_called_missing(caplog):
    room = Room()
    room.run(0.8, stamped(lambda ns: 7))
    assert [record.message for record in caplog.records] == [
        "left camera: no usable frame for 0.5 s; going on with the right one",
        "right camera: no usable frame for 0.5 s; waiting for either camera",
    ]


def test_numbers_that_are_no_count_are_named():
    room = Room()
    room.run(3, lambda view, n, message: header(message, seq=0) if view == "right" else message)
    finding = room.found("frame_number_constant")
    assert finding.view == "right" and "the number 0" in finding.text and room.pairs[-1].complete


@pytest.mark.parametrize("missing", VIEWS)
def test_a_view_that_never_comes_is_said_with_the_reason_and_no_more_once_it_comes(missing):
    room = Room(silent="nothing listens there; start it")
    room.run(3, lambda view, n, message: None if view == missing else message)
    finding = room.found("view_missing")
    assert finding.view == missing and finding.level == "error" and "nothing listens there; start it" in finding.text
    assert len(room.pairs) > 20 and all(pair[missing].absent for pair in room.pairs)
    room.run(15)
    assert not room.findings.all and room.pairs[-1].complete


@pytest.mark.parametrize("one_socket", [False, True])
def test_a_view_that_is_published_as_the_other_one_is_said(one_socket):
    room = Room(one_socket=one_socket)
    room.run(3, lambda view, n, message: wire.encode("left", n, room.now_ns, IMAGE))
    text = next(found.text for found in room.findings.all if found.kind == "view_missing")
    assert "no frame of the right view has come" in text and "messages of view 'left' have" in text
    assert ("malformed" in room.receiver.all_drops) != one_socket


def test_with_every_pair_views_that_never_meet_are_said_and_neither_is_set_aside():
    room = Room(live=False, lasting=PerView(False, False))
    room.run(4, stamped(lambda ns: ns + WALL, ("left",)))
    assert "no pair of frames: the views' times are 1.8e+09 s apart" in room.found("views_apart").text
    assert not room.pairs and "apart" not in room.receiver.all_drops


def test_with_every_pair_times_may_run_ahead():
    room = Room(live=False, lasting=PerView(False, False))
    room.run(4, stamped(lambda ns: ns + 60 * SECOND))
    assert not room.findings.all and room.pairs


def every(step: int, view: View = "right", first: int = 0) -> Change:
    """From frame `first` on one view gives only each `step`-th frame, and counts those that it gives."""

    def change(of: View, n: int, message: list[bytes]) -> list[bytes] | None:
        if of != view or n < first:
            return message
        return None if n % step else header(message, seq=first + (n - first) // step)

    return change


def test_views_of_different_rates_are_told_once_and_only_while_they_differ(caplog):
    room = Room()
    room.run(8, every(3))
    finding = room.found("rates_differ")
    assert finding.level == "warning" and "left view gives 30.0 frames a second and the right one 10.0" in finding.text
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    first = room.sent
    room.run(6, lambda view, n, message: header(message, seq=first + n))
    assert not room.findings.all


@pytest.mark.parametrize("seconds", [2, 4])
def test_a_camera_that_begins_slowly_is_not_accused(seconds):
    room = Room()
    room.run(seconds, every(3))
    assert not room.findings.all


def test_frames_lost_on_the_way_are_no_other_rate():
    room = Room()
    room.run(10, lambda view, n, message: None if view == "right" and n % 3 else message)
    assert not room.findings.all


def test_an_image_without_a_byte_is_named_without_its_beginning():
    room = Room()
    room.run(2.5, lambda view, n, message: message if view == "left" else [*message[:2], b""])
    assert "a payload of 0 bytes that is no JPEG; send" in room.found("images_undecodable").text
