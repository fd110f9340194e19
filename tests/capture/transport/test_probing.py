"""Clock probes over real sockets: offset within its bound, invalid messages ignored, timeouts reported."""

import time

import msgspec
import pytest
import zmq

from capture.transport.probing import PROBE_VERSION, ClockLink, ClockService

SECOND = 1_000_000_000
TIMEOUT_S = 120.0


class SkewedClock:
    offset_ns = -5 * 3600 * SECOND

    def __call__(self) -> int:
        # A host that was started later; times on the wire are not negative.
        return time.monotonic_ns() + 10**15 + self.offset_ns


@pytest.fixture
def ends():
    """A clock with an offset of hours, its service, and a link to it."""
    clock = SkewedClock()
    with zmq.Context() as context:
        service = ClockService(context, "tcp://127.0.0.1:*", lambda socket: None, clock)
        link = ClockLink(context, f"tcp://127.0.0.1:{service.port}", lambda socket: None)
        yield clock, service, link
        link.close()
        service.close()


def ask_until(link: ClockLink, done) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        assert time.monotonic() < deadline
        link.ask(time.monotonic_ns())
        link.socket.poll(20)
        link.read()


def test_the_offset_is_within_its_bound_and_a_clock_step_is_detected(ends):
    clock, _, link = ends
    ask_until(link, lambda: link.clock.known)
    offset = link.clock.offset(time.monotonic_ns())
    assert abs(offset.ns - (10**15 + clock.offset_ns)) <= offset.bound_ns
    clock.offset_ns += 60 * SECOND
    ask_until(link, lambda: link.clock.steps)
    offset = link.clock.offset(time.monotonic_ns())
    assert abs(offset.ns - (10**15 + clock.offset_ns)) <= offset.bound_ns


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"kind": "probe", "version": PROBE_VERSION}),
        msgspec.msgpack.encode({"kind": "probe", "version": PROBE_VERSION, "number": 1.5}),
        msgspec.msgpack.encode({"kind": "probe", "version": PROBE_VERSION + 1, "number": 1}),
        msgspec.msgpack.encode({"kind": "clock", "version": PROBE_VERSION, "number": 1, "clock_ns": 1}),
    ],
)
def test_an_invalid_probe_is_ignored_and_the_next_one_answered(ends, question):
    _, service, link = ends
    with zmq.Context() as context, context.socket(zmq.DEALER) as other:
        other.linger = 0
        other.connect(f"tcp://127.0.0.1:{service.port}")
        other.send_multipart([b"", question])
        ask_until(link, lambda: link.clock.known)
        assert not other.poll(0)


def test_unsolicited_replies_are_ignored():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as service:
        service.linger = 0
        port = service.bind_to_random_port("tcp://127.0.0.1")
        link = ClockLink(context, f"tcp://127.0.0.1:{port}", lambda socket: None)
        deadline = time.monotonic() + TIMEOUT_S
        while not service.poll(20):
            assert time.monotonic() < deadline
            link.ask(time.monotonic_ns())
        identity, _, question = service.recv_multipart()
        number = msgspec.msgpack.decode(question)["number"]

        def reply(**fields: object) -> list[bytes]:
            return [identity, b"", msgspec.msgpack.encode({"kind": "clock", "version": PROBE_VERSION} | fields)]

        for nonsense in ([identity, b"junk"], reply(number=number + 9, clock_ns=1), reply(number=number, clock_ns=-1)):
            service.send_multipart(nonsense)
        service.send_multipart(reply(number=number, clock_ns=5))
        service.send_multipart(reply(number=number, clock_ns=7))
        while link.malformed < 4:
            assert time.monotonic() < deadline
            link.socket.poll(20)
            link.read()
        assert link.clock.known and link.clock.steps == 0
        link.close()


def test_a_clock_that_does_not_reply_times_out_once():
    with zmq.Context() as context:
        link = ClockLink(context, "tcp://127.0.0.1:9", lambda socket: None)
        now = time.monotonic_ns()
        given_up = [link.ask(now + step * SECOND // 2) for step in range(10)]
        assert given_up.count(True) == 1 and link.unanswered
        link.close()
