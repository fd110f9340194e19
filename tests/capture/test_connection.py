"""The state of a connection by real sockets: nobody there, somebody else, wrong keys, and ready."""

import socket
import threading
import time

import pytest
import zmq

from capture.connection import Connection, ConnectionMonitor, why_silent
from capture.transport.keys import Keys, make_keys, secure_client
from capture.transport.publisher import Publisher

TIMEOUT_S = 120.0


@pytest.fixture
def keys(tmp_path) -> dict[str, Keys]:
    """Keys of a sender that lists the receiver, and of a stranger who is listed nowhere."""
    made = {name: make_keys(tmp_path / name) for name in ("sender", "receiver", "stranger")}
    made["sender"].peers["receiver"] = made["receiver"].public
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Receiver:
    """A connecting socket and its monitor."""

    def __init__(self, endpoint: str, keys: Keys | None = None, server: bytes = b"") -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.reconnect_ivl = 20
        if keys is not None:
            secure_client(self._socket, keys, server)
        self._monitor = ConnectionMonitor(self._socket)
        self._socket.connect(endpoint)

    def reaches(self, wanted: Connection) -> bool:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if self._monitor.connection is wanted:
                return True
            self._socket.poll(5)
        return False

    def close(self) -> None:
        self._monitor.close()
        self._socket.close(linger=0)
        self._context.term()


@pytest.fixture
def receivers():
    """Makes receivers, which are closed after the test."""
    made: list[Receiver] = []

    def receiver(*arguments) -> Receiver:
        made.append(Receiver(*arguments))
        return made[-1]

    yield receiver
    for each in made:
        each.close()


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_a_connection_waits_is_ready_and_waits_again(kind, tmp_path, receivers):
    endpoint = f"tcp://127.0.0.1:{free_port()}" if kind == "tcp" else f"ipc://{tmp_path}/left"
    receiver = receivers(endpoint)
    assert receiver.reaches(Connection.WAITING)
    publisher = Publisher(endpoint, lossless=False)
    assert receiver.reaches(Connection.READY)
    publisher.close()
    assert receiver.reaches(Connection.WAITING)


def test_what_does_not_speak_zeromq_is_silent(receivers):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        assert receivers(f"tcp://127.0.0.1:{mute.getsockname()[1]}").reaches(Connection.SILENT)


def test_wrong_keys_are_told_apart(keys, receivers):
    secured, plain = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    publishers = [Publisher(secured, lossless=False, keys=keys["sender"]), Publisher(plain, lossless=False)]
    sender, stranger = keys["sender"].public, keys["stranger"].public
    assert receivers(secured, keys["receiver"], sender).reaches(Connection.READY)
    assert receivers(secured, keys["stranger"], sender).reaches(Connection.NOT_LISTED)
    assert receivers(secured, keys["receiver"], stranger).reaches(Connection.WRONG_KEY)
    assert receivers(secured).reaches(Connection.OTHER_SECURITY)
    assert receivers(plain, keys["receiver"], sender).reaches(Connection.OTHER_SECURITY)
    for publisher in publishers:
        publisher.close()


def test_a_refused_key_stays_the_reason_while_it_connects_again(keys, receivers):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    publisher = Publisher(endpoint, lossless=False, keys=keys["sender"])
    receiver = receivers(endpoint, keys["receiver"], keys["stranger"].public)
    assert receiver.reaches(Connection.WRONG_KEY)
    # Every look at it from now on, over several connections.
    refused_before, stop = publisher.refused, threading.Event()
    while publisher.refused < refused_before + 3:
        assert not stop.is_set() and receiver._monitor.connection is Connection.WRONG_KEY
    publisher.close()


@pytest.mark.parametrize("connection", Connection)
def test_every_state_names_the_address_and_what_to_do(connection):
    sentence = why_silent(connection, "tcp://127.0.0.1:5601", "the sender")
    assert "tcp://127.0.0.1:5601" in sentence and ";" in sentence
