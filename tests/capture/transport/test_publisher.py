"""Publishing: lossless without gaps, lossy with visible gaps, and an end message in both."""

import threading

import numpy as np
import pytest
import zmq

from capture import wire
from capture.sources.base import CapturedImage
from capture.transport.publisher import Publisher, publish
from hand.errors import UserError

IMAGE = np.zeros((64, 64, 3), np.uint8)


class CountingSource:
    """Yields `count` images without pacing, sets `sent`, and fails with `failure` if given."""

    fov_deg = None
    note = None

    def __init__(self, count: int, failure: str | None = None, sent: threading.Event | None = None) -> None:
        self._count = count
        self._sent = sent or threading.Event()
        self._failure = failure

    def frames(self, start_ns: int):
        for seq in range(self._count):
            yield CapturedImage(seq, start_ns + seq, IMAGE)
        self._sent.set()
        if self._failure is not None:
            raise UserError(self._failure)

    def close(self) -> None:
        pass


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/left"


@pytest.fixture
def subscriber(endpoint):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.rcvhwm = 2
        socket.rcvtimeo = 120_000
        socket.subscribe("left")
        socket.connect(endpoint)
        yield socket


def send_all(endpoint: str, source: CountingSource, *, lossless: bool) -> threading.Thread:
    """Publish a whole source from another thread."""

    def run() -> None:
        publisher, stop = Publisher(endpoint, lossless=lossless), threading.Event()
        publisher.wait_for_subscriber(stop)
        publish(source, publisher, "left", 0, stop)
        publisher.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def headers(subscriber: zmq.Socket) -> list[wire.FrameHeader | wire.End]:
    """All headers up to and including the end, after which the subscriber closes."""
    found = []
    while not found or isinstance(found[-1], wire.FrameHeader):
        found.append(wire.unpack(subscriber.recv_multipart()).header)
    subscriber.close()
    return found


def test_lossless_blocks_a_fast_source(endpoint, subscriber):
    thread = send_all(endpoint, CountingSource(500), lossless=True)
    assert [header.seq for header in headers(subscriber)] == list(range(501))
    thread.join()


def test_a_receiver_that_ends_one_of_two_subscriptions_still_gets_all(endpoint, subscriber):
    # As it does once it has looked whether the view is published under another name.
    subscriber.subscribe("")
    thread = send_all(endpoint, CountingSource(300), lossless=True)
    first = subscriber.recv_multipart()
    subscriber.unsubscribe("")
    headers = [wire.unpack(parts).header for parts in (first, *(subscriber.recv_multipart() for _ in range(300)))]
    assert [header.seq for header in headers] == list(range(301)) and isinstance(headers[-1], wire.End)
    subscriber.close()
    thread.join()


def test_lossy_drops_leave_gaps_in_the_numbers_and_the_end_arrives(endpoint, subscriber):
    sent = threading.Event()
    thread = send_all(endpoint, CountingSource(5000, failure="unplugged", sent=sent), lossless=False)
    # Nothing is read while the source runs, and 60 MB do not fit into the queues.
    sent.wait()
    *frames, end = headers(subscriber)
    thread.join()
    assert end == wire.End(wire.VERSION, "left", 5000, "unplugged")
    numbers = [frame.seq for frame in frames]
    assert numbers == sorted(set(numbers)) and len(numbers) < 5000


def test_an_address_in_use_is_an_error_that_names_it():
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(UserError, match=f"tcp://127.0.0.1:{port}.*cannot be bound"):
            Publisher(f"tcp://127.0.0.1:{port}", lossless=False)
