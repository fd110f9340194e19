"""The sending end of the wire format: one socket that publishes one camera."""

import math
import threading
import time
from collections.abc import Callable

import zmq

from capture import wire
from capture.sources.base import Source
from capture.transport.address_claim import AddressClaim
from capture.transport.keys import Gate, Keys
from capture.transport.probing import ClockService
from capture.views import View
from hand.errors import UserError

_QUEUE = 4
"""Messages that wait in the sender for one receiver."""
_RETRY_MS = 50


class Publisher:
    """Publishes messages on a bound socket.

    Lossless, a full queue blocks the sender. Otherwise a message is dropped for a receiver whose queue is full; that receiver
    sees a gap in `seq`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        lossless: bool,
        keys: Keys | None = None,
        clock: str | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """With `keys`, only their peers are served. At the address `clock` the clock that stamps the frames, `clock_ns`, answers
        probes. Raises UserError if an address cannot be bound.
        """
        self._lossless = lossless
        self._topics = set[bytes]()
        """That receivers subscribe to."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = 0
        self._socket.sndhwm = _QUEUE
        self._socket.sndtimeo = _RETRY_MS
        self._socket.xpub_nodrop = lossless
        self._socket.ipv6 = "[" in endpoint
        self._gate: Gate | None = None
        self._clock: ClockService | None = None
        self._claim: AddressClaim | None = None
        try:
            self._claim = AddressClaim(endpoint)
            if keys is not None:
                self._gate = Gate(self._context, keys)
            self._secure(self._socket)
            self._socket.bind(endpoint)
            if clock is not None:
                self._clock = ClockService(self._context, clock, self._secure, clock_ns)
        except zmq.ZMQError as error:
            self.close()
            raise UserError(f"address {endpoint!r} cannot be bound: {error.strerror}; give a free one") from error
        except UserError:
            self.close()
            raise

    @property
    def clock_port(self) -> int | None:
        """Where the clock answers, for the frames' headers."""
        return None if self._clock is None else self._clock.port

    @property
    def refused(self) -> int:
        """Connections that are not authenticated, or not yet; refused clients reconnect again and again."""
        return 0 if self._gate is None else self._gate.refused

    def wait_for_subscriber(self, stop: threading.Event) -> None:
        """Return once someone has subscribed, or when `stop` is set."""
        while not self._subscribed(_RETRY_MS) and not stop.is_set():
            continue

    def send(self, message: list[bytes], stop: threading.Event) -> None:
        """Send; a lossless publisher waits for room until `stop` is set."""
        if self._gate is not None:
            self._gate.look()
        while not stop.is_set():
            try:
                self._socket.send_multipart(message, copy=False)
                return
            except zmq.Again:
                continue

    def send_end(self, message: list[bytes], stop: threading.Event, timeout_s: float) -> None:
        """Send a stream's last message and wait for its receivers to leave, `timeout_s` at most or until `stop` is set.

        Closing at once would lose what they have not read: ZeroMQ reads no further from an ipc peer that has closed.
        """
        deadline = time.monotonic() + timeout_s
        self.send(message, stop)
        while self._subscribed(_RETRY_MS) and not stop.is_set() and time.monotonic() < deadline:
            # ZeroMQ does not report whether a receiver's queue was full.
            if not self._lossless:
                self.send(message, stop)

    def close(self) -> None:
        """Free the address; messages that are still queued are lost."""
        if self._clock is not None:
            self._clock.close()
        self._socket.close()
        if self._gate is not None:
            self._gate.close()
        self._context.term()
        if self._claim is not None:
            self._claim.release()

    def _secure(self, socket: zmq.Socket) -> None:
        if self._gate is not None:
            self._gate.secure(socket)

    def _subscribed(self, wait_ms: int) -> bool:
        """Whether someone subscribes now, after a wait of at most `wait_ms` for a change."""
        if self._gate is not None:
            self._gate.look()
        while self._socket.poll(wait_ms):
            # XPUB receives a topic's first subscription as a message that begins with 1, the end of its last with 0. A receiver
            # may end one and keep another.
            change = self._socket.recv()
            (self._topics.add if change[:1] == b"\x01" else self._topics.discard)(change[1:])
            wait_ms = 0
        return bool(self._topics)


def publish(
    source: Source,
    publisher: Publisher,
    view: View,
    start_ns: int,
    stop: threading.Event,
    *,
    format: wire.Format = "rgb8",
    leave_within_s: float = math.inf,
) -> None:
    """Send a source's frames until they end, then an end message, with the reason if the camera failed.

    Returns when all receivers have disconnected, or `leave_within_s` after the end.
    """
    next_seq, error = 0, None
    try:
        for seq, captured_ns, image in source.frames(start_ns):
            publisher.send(wire.encode(view, seq, captured_ns, image, format, source.fov_deg, publisher.clock_port), stop)
            next_seq = seq + 1
            if stop.is_set():
                return
    except UserError as failure:
        error = str(failure)
    publisher.send_end(wire.encode_end(view, next_seq, error), stop, leave_within_s)
