"""A capture process that dies is restarted, at once and then with growing delays."""

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess

import pytest
import zmq

from capture import wire
from capture.process import CameraJob
from capture.sources.base import DEFAULT_MODE
from capture.supervisor import Backoff, Supervisor

TIMEOUT_S = 120.0
SECOND = 1_000_000_000


def test_retries_start_at_once_and_back_off():
    backoff, now = Backoff(), 0
    pauses = [(backoff.next_ns(now, 0) - now) / SECOND for _ in range(8)]
    assert pauses == [0, 0.25, 0.5, 1, 2, 2, 2, 2]
    assert backoff.next_ns(now, Backoff.LASTED_NS) == now


def cameras() -> list[BaseProcess]:
    """Capture processes of this program."""
    return [child for child in multiprocessing.active_children() if child.name.startswith("duohand-left")]


@pytest.fixture
def subscribed(tmp_path):
    endpoint = f"ipc://{tmp_path}/left"
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.reconnect_ivl = 20
        socket.rcvtimeo = round(TIMEOUT_S * 1000)
        socket.subscribe("left")
        socket.connect(endpoint)
        yield endpoint, socket
    assert not cameras()


def tend_until(supervisor: Supervisor, done) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not done():
        assert time.monotonic() < deadline
        for view in supervisor.dead():
            supervisor.reap(view)
        supervisor.tend(lambda view, now_ns: 0, 10 * SECOND)
        os.sched_yield()


def test_a_killed_process_restarts_with_new_frame_numbers(subscribed):
    endpoint, socket = subscribed
    supervisor = Supervisor([CameraJob("left", "pattern?size=64x64&rate=100", endpoint, False, DEFAULT_MODE, lasting=True)])
    try:
        assert supervisor.open() == []
        assert isinstance(wire.unpack(socket.recv_multipart()).header, wire.FrameHeader)
        (child,) = cameras()
        pid = child.pid
        os.kill(pid or 0, signal.SIGKILL)
        tend_until(supervisor, lambda: supervisor.restarts["left"] == 1 and not supervisor.dead())
        tend_until(supervisor, lambda: socket.poll(0) and wire.unpack(socket.recv_multipart()).header.seq < 3)
        (again,) = cameras()
        assert again.pid != pid
        header = wire.unpack(socket.recv_multipart()).header
        assert isinstance(header, wire.FrameHeader) and header.captured_ns > time.monotonic_ns() - TIMEOUT_S * SECOND
    finally:
        supervisor.close()


def test_a_missing_camera_is_retried_and_logged_once(subscribed, tmp_path, caplog):
    endpoint, _ = subscribed
    clip = tmp_path / "gone"
    supervisor = Supervisor([CameraJob("left", "pattern?size=64x64", endpoint, False, DEFAULT_MODE, lasting=True)])
    try:
        supervisor.open()
        # From now on the camera cannot be opened.
        slot = supervisor._slots["left"]
        slot.job = CameraJob("left", str(clip), endpoint, False, DEFAULT_MODE, lasting=True)
        assert slot.process is not None
        slot.process.kill()
        tend_until(supervisor, lambda: supervisor.restarts["left"] >= 2)
        tend_until(supervisor, lambda: caplog.messages and not supervisor.dead())
        (sentence,) = caplog.messages
        assert "no such file" in sentence
    finally:
        supervisor.close()


def test_a_hanging_process_is_terminated(subscribed, caplog):
    endpoint, _ = subscribed
    supervisor = Supervisor([CameraJob("left", "pattern?size=64x64", endpoint, False, DEFAULT_MODE, lasting=True)])
    try:
        supervisor.open()
        (child,) = cameras()
        os.kill(child.pid or 0, signal.SIGSTOP)
        deadline = time.monotonic() + TIMEOUT_S
        while not supervisor.dead():
            assert time.monotonic() < deadline
            supervisor.tend(lambda view, now_ns: SECOND, SECOND // 100)
        assert caplog.messages[0] == "left camera: its process hangs and is ended"
    finally:
        supervisor.close()
