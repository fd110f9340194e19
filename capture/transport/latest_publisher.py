"""Hands for other programs: one message each on a bound socket; a slow receiver gets the newest."""

from collections.abc import Callable

import zmq

from capture.sources.endpoint import check_endpoint
from capture.transport.address_claim import AddressClaim
from capture.transport.keys import Gate, Keys, secure_client
from hand.errors import UserError


class LatestPublisher:
    """Publishes messages of one part on a bound PUB socket, to any number of receivers, and never waits for one.

    At most one message waits for each receiver, the newest.
    """

    def __init__(self, endpoint: str, keys: Keys | None = None) -> None:
        """With `keys`, only their peers are served. Raises UserError where the address cannot be bound, or leaves this host
        without keys.
        """
        check_endpoint(endpoint, secured=keys is not None)
        self._context = zmq.Context()
        self._gate: Gate | None = None
        self._claim: AddressClaim | None = None
        self._socket = _socket(self._context, zmq.PUB, endpoint)
        try:
            self._claim = AddressClaim(endpoint)
            if keys is not None and endpoint.startswith("tcp:"):
                self._gate = Gate(self._context, keys)
                self._gate.secure(self._socket)
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UserError(f"address {endpoint!r} cannot be bound: {error.strerror}; give --publish a free one") from error

    def send(self, message: bytes) -> None:
        self._socket.send(message, zmq.NOBLOCK)

    def close(self) -> None:
        """Free the address. May be called again."""
        if self._gate is not None:
            self._gate.close()
            self._gate = None
        self._socket.close()
        self._context.term()
        if self._claim is not None:
            self._claim.release()


def subscribe_latest(
    context: zmq.Context,
    endpoint: str,
    keys: Keys | None = None,
    peer: str | None = None,
    *,
    on_socket: Callable[[zmq.Socket], object] = lambda socket: None,
) -> zmq.Socket:
    """A socket that reads the newest message of a `LatestPublisher`; with `keys`, that of `peer` alone, or of the only one.

    `on_socket` is called with it before it connects, so that its connection can be followed from the first moment.
    Raises UserError for an address or a peer that cannot be used.
    """
    check_endpoint(endpoint, secured=keys is not None)
    socket = _socket(context, zmq.SUB, endpoint)
    socket.subscribe(b"")
    try:
        if keys is not None and endpoint.startswith("tcp:"):
            secure_client(socket, keys, keys.peer(peer))
        on_socket(socket)
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise UserError(
            f"address {endpoint!r} cannot be used: {error.strerror}; give the one that hands are published on"
        ) from error
    except UserError:
        socket.close()
        raise
    return socket


def _socket(context: zmq.Context, kind: int, endpoint: str) -> zmq.Socket:
    socket = context.socket(kind)
    socket.linger = 0
    # Works because a message has one part; of longer ones it would mix the parts.
    socket.conflate = True
    socket.ipv6 = "[" in endpoint
    return socket
