"""The sending end of hands: one message each on a bound socket; whoever is too slow for them gets the newest."""

import zmq

from capture.sources import check_endpoint
from hand.errors import UserError


class LatestPublisher:
    """Publishes messages of one part on a bound PUB socket, to any number of receivers, and never waits for one.

    At most one message waits for each receiver, the newest.
    """

    def __init__(self, endpoint: str) -> None:
        """Raises UserError where the address cannot be bound, or leaves this host."""
        check_public(endpoint)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.linger = 0
        # Works because a message has one part; of longer ones it would mix the parts.
        self._socket.conflate = True
        self._socket.ipv6 = "[" in endpoint
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise UserError(f"address {endpoint!r} cannot be bound: {error.strerror}; give --publish a free one") from error

    def send(self, message: bytes) -> None:
        self._socket.send(message, zmq.NOBLOCK)

    def close(self) -> None:
        """Free the address."""
        self._socket.close()
        self._context.term()


def subscribe_latest(endpoint: str, context: zmq.Context) -> zmq.Socket:
    """A socket that reads the newest message of a `LatestPublisher`. Raises UserError for an address that cannot be used."""
    check_public(endpoint)
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.conflate = True
    socket.ipv6 = "[" in endpoint
    socket.subscribe(b"")
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close()
        raise UserError(
            f"address {endpoint!r} cannot be used: {error.strerror}; give the one that stream.py publishes on"
        ) from error
    return socket


def check_public(endpoint: str) -> str:
    """The address itself, if hands may travel there as plain text. Raises UserError."""
    try:
        return check_endpoint(endpoint)
    except UserError as error:
        if "leaves this host" not in str(error):
            raise
        raise UserError(
            f"address {endpoint!r} leaves this host, and hands travel as plain text: give tcp://127.0.0.1:PORT and forward the "
            "port (ssh -L), or make keys with python -m tools.keys"
        ) from error
