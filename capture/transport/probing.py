"""Clock probes on the wire: a feed answers on a socket of its own, a receiver estimates the offset (`capture.clock`)."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import msgspec
import zmq

from capture.clock import Probe, RemoteClock
from capture.wire import Count
from hand.errors import UserError

PROBE_VERSION = 1
_EVERY_NS = 200_000_000
_AT_FIRST_NS = 20_000_000
"""Between probes while the clock is not settled."""
_UNANSWERED_NS = 2_000_000_000
"""A clock without an answer for this long, whose offset is not known, is not waited for."""
_OUTSTANDING = 64
"""Latest questions whose answers are accepted."""
_POLL_MS = 100
_LIMIT = 1024
"""Largest question or answer, bytes; CURVE's handshake needs 257 and more."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="probe"):
    """A question: the sender's clock."""

    version: int
    number: Count
    """Comes back with the answer."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="clock"):
    """The clock by which the feed's frames are stamped."""

    version: int
    number: Count
    clock_ns: Count


_encoder = msgspec.msgpack.Encoder()
_ask_decoder = msgspec.msgpack.Decoder(Ask)
_answer_decoder = msgspec.msgpack.Decoder(Answer)
Read = TypeVar("Read", Ask, Answer)


def read_question(raw: bytes) -> Ask | None:
    """A question; None for what is none."""
    return _read(_ask_decoder, raw)


def read_answer(raw: bytes) -> Answer | None:
    """An answer; None for what is none."""
    return _read(_answer_decoder, raw)


def _read(decoder: msgspec.msgpack.Decoder[Read], raw: bytes) -> Read | None:
    try:
        message = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message if message.version == PROBE_VERSION else None


class ClockLink:
    """The probing end: one DEALER socket to one clock, without a thread: the loop that polls `socket` calls `ask` and `read`."""

    def __init__(self, context: zmq.Context, endpoint: str, secure: Callable[[zmq.Socket], None]) -> None:
        """`secure` sets the socket's keys, if there are any."""
        self.endpoint = endpoint
        self.clock = RemoteClock()
        self.malformed = 0
        self.unanswered = False
        """Whether it has not answered for so long that its times are used uncorrected."""
        self._known_ns = time.monotonic_ns()
        self.socket: zmq.Socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 16
        self.socket.maxmsgsize = _LIMIT
        # A question that waits for a connection would come back with a round trip of that long.
        self.socket.immediate = True
        self.socket.ipv6 = "[" in endpoint
        secure(self.socket)
        self.socket.connect(endpoint)
        self._number = 0
        self._due_ns = self._sent_at_ns = 0
        self._sent_ns: OrderedDict[int, int] = OrderedDict()

    def ask(self, now_ns: int) -> bool:
        """Send a question if one is due; True at the moment when the clock counts as unanswered."""
        if now_ns < self._due_ns and not (self.clock.suspected and now_ns >= self._sent_at_ns + _AT_FIRST_NS):
            return False
        if self.clock.known:
            self._known_ns = now_ns
        before, self.unanswered = self.unanswered, now_ns - self._known_ns > _UNANSWERED_NS
        self._sent_at_ns = now_ns
        self._due_ns = now_ns + (_EVERY_NS if self.clock.settled else _AT_FIRST_NS)
        self._number += 1
        question = _encoder.encode(Ask(PROBE_VERSION, self._number))
        self._sent_ns[self._number] = time.monotonic_ns()
        if len(self._sent_ns) > _OUTSTANDING:
            self._sent_ns.popitem(last=False)
        try:
            self.socket.send_multipart([b"", question], zmq.NOBLOCK)
        except zmq.Again:
            del self._sent_ns[self._number]
        return self.unanswered and not before

    def read(self) -> None:
        """Process the answers that have arrived."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            received_ns = time.monotonic_ns()
            answer = read_answer(parts[-1]) if len(parts) == 2 else None
            sent_ns = None if answer is None else self._sent_ns.pop(answer.number, None)
            # An answer to no open question, or a second one.
            if answer is None or sent_ns is None:
                self.malformed += 1
                continue
            self.clock.add(Probe(sent_ns, answer.clock_ns, received_ns))

    def close(self) -> None:
        self.socket.close()


class ClockService:
    """The answering end: a thread with a ROUTER socket, so that no image delays an answer."""

    def __init__(
        self,
        context: zmq.Context,
        endpoint: str,
        secure: Callable[[zmq.Socket], None],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Raises UserError if the address cannot be bound; a port of 0 is chosen (`port`)."""
        self._clock_ns = clock_ns
        self._socket: zmq.Socket = context.socket(zmq.ROUTER)
        self._socket.linger = 0
        self._socket.sndhwm = self._socket.rcvhwm = 64
        self._socket.maxmsgsize = _LIMIT
        self._socket.ipv6 = "[" in endpoint
        secure(self._socket)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise UserError(f"address {endpoint!r} cannot be bound for the clock: {error.strerror}; give a free one") from error
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._answer, name="duohand-clock", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _answer(self) -> None:
        while not self._stop.is_set():
            if not self._socket.poll(_POLL_MS):
                continue
            parts = self._socket.recv_multipart()
            asked = read_question(parts[-1]) if len(parts) == 3 else None
            if asked is not None:
                answer = Answer(PROBE_VERSION, asked.number, self._clock_ns())
                # ROUTER drops what its peer has no room for, and never waits.
                self._socket.send_multipart([parts[0], b"", _encoder.encode(answer)])
