"""The sender that PROTOCOL.md prints works: its frames are read and its clock replies."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import zmq

import capture
from capture import wire
from capture.transport.probing import ClockLink

TIMEOUT_S = 120.0


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def test_the_printed_standalone_sender_works():
    text = (Path(capture.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
    match = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert match
    frames, clock = free_ports()
    ports = {"5601": str(frames), "5611": str(clock)}
    program = re.sub("|".join(ports), lambda port: ports[port[0]], match[1])
    sender = subprocess.Popen([sys.executable, "-c", program])
    try:
        with zmq.Context() as context, context.socket(zmq.SUB) as receiver:
            receiver.linger = 0
            receiver.subscribe("left")
            receiver.connect(f"tcp://127.0.0.1:{frames}")
            assert receiver.poll(round(TIMEOUT_S * 1000))
            packet = wire.unpack(receiver.recv_multipart())
            assert isinstance(packet.header, wire.FrameHeader) and packet.header.clock_port == clock
            frame = wire.decode(packet, 0)
            assert frame.image.shape == (480, 640, 3)
            assert 0 < time.monotonic_ns() - frame.captured_ns < TIMEOUT_S * 1e9
            link = ClockLink(context, f"tcp://127.0.0.1:{clock}", lambda socket: None)
            deadline = time.monotonic() + TIMEOUT_S
            while not link.clock.known:
                assert time.monotonic() < deadline
                link.ask(time.monotonic_ns())
                link.socket.poll(20)
                link.read()
            offset = link.clock.offset(time.monotonic_ns())
            assert abs(offset.ns) <= offset.bound_ns
            link.close()
    finally:
        sender.kill()
        sender.wait()
