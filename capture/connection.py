"""Whether a connecting socket has found the program that it waits for, and what that program has against it."""

from enum import Enum

import zmq
from zmq.utils.monitor import parse_monitor_message

_EVENTS = (
    zmq.EVENT_CONNECTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Connection(Enum):
    """State of a connection."""

    WAITING = "waiting"
    """Nothing listens at the address, or not any more."""
    SILENT = "silent"
    """Something listens there, but does not greet as ZeroMQ does."""
    READY = "ready"
    """Messages can come."""
    OTHER_SECURITY = "other security"
    """One side uses keys, the other does not."""
    WRONG_KEY = "wrong key"
    """The program there has not the key that is expected of it."""
    NOT_LISTED = "not listed"
    """The program there does not know this side's key."""

    @property
    def refused(self) -> bool:
        """Whether keys are the reason why no message comes."""
        return self in (Connection.OTHER_SECURITY, Connection.WRONG_KEY, Connection.NOT_LISTED)


_FAILED = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: Connection.NOT_LISTED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: Connection.OTHER_SECURITY,
    # A CURVE server closes the connection of a client that encrypts for another server, without a word.
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: Connection.WRONG_KEY,
}


class ConnectionMonitor:
    """Follows the one connection of a socket. To be made before the socket connects, and used by the thread that uses it."""

    def __init__(self, socket: zmq.Socket) -> None:
        self._socket = socket
        self._monitor = socket.get_monitor_socket(_EVENTS)
        self._secured = socket.mechanism == zmq.CURVE
        self._connection = Connection.WAITING

    @property
    def connection(self) -> Connection:
        """The state by now."""
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            self._connection = self._after(zmq.Event(event))
        return self._connection

    def close(self) -> None:
        """Before the socket is closed."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _after(self, event: zmq.Event) -> Connection:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return Connection.READY
        if self._connection.refused and event in (zmq.EVENT_CONNECTED, zmq.EVENT_DISCONNECTED):
            # It tries again and again; the next handshake tells whether that is of use.
            return self._connection
        if event == zmq.EVENT_CONNECTED:
            return Connection.SILENT
        if event == zmq.EVENT_DISCONNECTED:
            return Connection.WAITING
        failed = _FAILED[event]
        return Connection.SILENT if failed is Connection.WRONG_KEY and not self._secured else failed


def why_silent(connection: Connection, address: str, waits_for: str) -> str:
    """Why no message has come, and what to do, for the user; `waits_for` is a command or program, such as "tools.feed"."""
    match connection:
        case Connection.WAITING:
            return f"nothing listens at {address}; start {waits_for} there, or correct the address"
        case Connection.SILENT:
            return f"what listens at {address} does not speak ZeroMQ's protocol; give the address of {waits_for}"
        case Connection.READY:
            return f"{address} is connected, but has sent nothing yet; check that {waits_for} sends"
        case Connection.OTHER_SECURITY:
            return (
                f"{address} and this side do not agree on keys, which one of the two does not use; "
                f"give --keys to both or to neither, and start again"
            )
        case Connection.WRONG_KEY:
            return (
                f"{address} has another key than the one known here; put its own.key into peers/ of the folder of keys, "
                f"and start again"
            )
        case Connection.NOT_LISTED:
            return (
                f"{address} does not know this side's key; put own.key of the folder of keys into peers/ there, and start again"
            )
