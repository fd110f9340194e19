"""The receiving sockets: one for the frames of each view, one for each remote clock that stamps them."""

import logging
import time
from collections import Counter
from collections.abc import Sequence

import zmq

from capture.clock import ClockReading, RemoteClock
from capture.connection import Connection, ConnectionMonitor, why_silent
from capture.sources.base import SourceSpec
from capture.sources.feed import Feed
from capture.transport.keys import Keys, secure_client
from capture.transport.probing import ClockLink
from capture.views import VIEWS, PerView, View
from capture.wire import PAYLOAD_LIMIT
from hand.errors import UserError
from hand.findings import Finding, Findings

_QUEUE = 4
"""Messages that wait in a receiving socket."""
_RECONNECT_MS = 50
_READ_NS = 200_000_000

log = logging.getLogger(__name__)


class Feeds:
    """Connects to both views, and to the clocks that their frames name. Used by one thread, once connected."""

    def __init__(
        self,
        context: zmq.Context,
        endpoints: PerView[str],
        specs: PerView[SourceSpec],
        keys: Keys | None,
        findings: Findings | None = None,
    ) -> None:
        """Raises UserError for an address that cannot be used."""
        self._findings = findings or Findings()
        self._context = context
        self._endpoints = endpoints
        self._keys = keys
        self._peers = specs.map(lambda spec: peer_key(spec, keys))
        self._monitors: dict[View, ConnectionMonitor] = {}
        """Of feeds; our own capture processes are watched by other means."""
        self._widened: set[View] = set()
        self._feeds = {view for view, spec in specs.items() if spec.feed_endpoint is not None}
        self.sockets = PerView.of(self._subscribe)
        self._links: dict[str, ClockLink] = {}
        """By address."""
        self._link_of: dict[View, str] = {}
        self._readings: dict[View, ClockReading] = {}
        self._read_ns = 0
        self._steps: Counter[View] = Counter()
        """Of clocks that a view has no more."""

    def poll(self, wanted: Sequence[View], timeout_ms: int) -> list[View]:
        """Wait until one of the wanted views has a message; answers of clocks are read meanwhile."""
        poller = zmq.Poller()
        for view in wanted:
            poller.register(self.sockets[view], zmq.POLLIN)
        for link in self._links.values():
            poller.register(link.socket, zmq.POLLIN)
        ready = dict(poller.poll(timeout_ms))
        for link in self._links.values():
            if link.socket in ready:
                link.read()
        return [view for view in wanted if self.sockets[view] in ready]

    def clock(self, view: View, port: int) -> RemoteClock | None:
        """The clock at a port of a view's host, probed from now on; None where it is this host's, or does not answer."""
        endpoint = self._clock_endpoint(view, port)
        before = self._link_of.get(view)
        if endpoint != before:
            self._unlink(view)
            if endpoint is not None:
                self._link(view, endpoint)
        link = None if endpoint is None else self._links[endpoint]
        return None if link is None or link.unanswered else link.clock

    def why_silent(self, view: View) -> str | None:
        """Why no message comes from a feed, one sentence; None for what is no feed."""
        if view not in self._monitors:
            return None
        return why_silent(self._monitors[view].connection, self._endpoints[view], f"what publishes view {view!r}")

    def widen(self, view: View, *, wide: bool) -> None:
        """Read all that a feed publishes, or again what it publishes of a view: another name of the view is found out so."""
        if view not in self._monitors or wide == (view in self._widened):
            return
        if not wide:
            self.sockets[view].unsubscribe(b"")
            self._widened.discard(view)
        elif self._monitors[view].connection is Connection.READY:
            self.sockets[view].subscribe(b"")
            self._widened.add(view)

    def tend(self) -> None:
        """Send the clock probes that are due."""
        now_ns = time.monotonic_ns()
        for endpoint, link in self._links.items():
            if link.ask(now_ns):
                views = " and ".join(view for view, of in self._link_of.items() if of == endpoint)
                sentence = f"{views} camera: no clock answers at {endpoint} (forward that port too); its times are taken for ours"
                self._findings.add(Finding("clock_silent", sentence, view=views if views in VIEWS else None))

    def steps(self) -> dict[str, int]:
        """Count of clock steps by view."""
        now = {view: self._links[endpoint].clock.steps for view, endpoint in self._link_of.items()}
        found = {view: self._steps[view] + now.get(view, 0) for view in VIEWS}
        return {f"{view}_clock_steps": steps for view, steps in found.items() if steps}

    def clocks(self) -> dict[View, ClockReading]:
        """Reading of each remote clock whose offset is known, by view."""
        now_ns = time.monotonic_ns()
        # No more often than there are new probes.
        if now_ns - self._read_ns > _READ_NS or len(self._readings) < len(self._link_of):
            self._read_ns = now_ns
            clocks: dict[View, RemoteClock] = {view: self._links[at].clock for view, at in self._link_of.items()}
            self._readings = {view: clock.reading(now_ns) for view, clock in clocks.items() if clock.known}
        return self._readings

    def close(self) -> None:
        for monitor in self._monitors.values():
            monitor.close()
        for socket in (*self.sockets, *(link.socket for link in self._links.values())):
            socket.close()

    def _subscribe(self, view: View) -> zmq.Socket:
        endpoint = self._endpoints[view]
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.rcvhwm = _QUEUE
        socket.reconnect_ivl = _RECONNECT_MS
        # ZeroMQ closes a connection that sends more, before the memory is taken. Messages up to here are counted.
        socket.maxmsgsize = 2 * PAYLOAD_LIMIT
        socket.ipv6 = "[" in endpoint
        self._secure(socket, view)
        if view in self._feeds:
            self._monitors[view] = ConnectionMonitor(socket)
        socket.subscribe(view)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise UserError(f"{view} camera: address {endpoint!r} cannot be used: {error.strerror}; give another") from error
        return socket

    def _secure(self, socket: zmq.Socket, view: View) -> None:
        peer = self._peers[view]
        if peer is not None and self._keys is not None:
            secure_client(socket, self._keys, peer)

    def _clock_endpoint(self, view: View, port: int) -> str | None:
        """Within a host (ipc) there is one clock, whatever a frame says."""
        endpoint = self._endpoints[view]
        if not endpoint.startswith("tcp://"):
            return None
        return f"{endpoint.rpartition(':')[0]}:{port}"

    def _link(self, view: View, endpoint: str) -> None:
        log.debug(f"{view} camera: its clock is probed at {endpoint}")
        self._link_of[view] = endpoint
        # A clock that both views name is probed once, and both views are corrected alike.
        if endpoint not in self._links:
            self._links[endpoint] = ClockLink(self._context, endpoint, lambda socket: self._secure(socket, view))

    def _unlink(self, view: View) -> None:
        endpoint = self._link_of.pop(view, None)
        if endpoint is None:
            return
        self._steps[view] += self._links[endpoint].clock.steps
        if endpoint not in self._link_of.values():
            self._links.pop(endpoint).close()


def peer_key(spec: SourceSpec, keys: Keys | None) -> bytes | None:
    """The public key that a feed must have; None without keys, and where it is no TCP feed. Raises UserError."""
    if keys is None or not isinstance(spec, Feed) or not spec.endpoint.startswith("tcp://"):
        return None
    return keys.peer(spec.key)
