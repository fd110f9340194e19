"""Published hands round-trip, the newest wins, and PROTOCOL.md matches the wire format."""

import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq

import capture
from capture.transport.keys import make_keys
from capture.transport.latest_publisher import LatestPublisher, subscribe_latest
from hand.errors import UserError
from runtime.outputs.hand_line import HandLine, hand_line
from runtime.outputs.hand_message import HandMessage, hand_message
from runtime.outputs.hand_publisher import HandPublisher, decode_hand, encode_hand
from tests.paths import ROOT
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair

PAIR = frame_pair(3)
HAND = dual_hand(PAIR, rotation=R_RIGHT_FROM_LEFT)


def received(socket: zmq.Socket, publisher: LatestPublisher, message: bytes) -> bytes:
    """The first message that gets through once the connection stands."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        publisher.send(message)
        if socket.poll(20):
            return socket.recv()
    raise AssertionError("nothing came through")


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


def test_a_published_hand_round_trips(tmp_path, context):
    endpoint = f"ipc://{tmp_path}/hands"
    line = hand_line(PAIR, HAND, R_RIGHT_FROM_LEFT)
    publisher = LatestPublisher(endpoint)
    socket = subscribe_latest(context, endpoint)
    hand = decode_hand(received(socket, publisher, encode_hand(hand_message(7, line))))
    publisher.close()
    assert (hand.version, hand.number) == (1, 7)
    assert HandLine(**{name: getattr(hand, name) for name in HandLine.__struct_fields__}) == line
    np.testing.assert_allclose(hand.fused.joints, HAND.joints, atol=1e-5)


def test_a_slow_receiver_gets_the_newest_hand(tmp_path, context):
    endpoint = f"ipc://{tmp_path}/hands"
    publisher = LatestPublisher(endpoint)
    socket = subscribe_latest(context, endpoint)
    received(socket, publisher, b"first")
    for number in range(2_000):
        publisher.send(str(number).encode())
    # What comes last arrives, however much was sent before anyone read.
    deadline, seen = time.monotonic() + 20, []
    while (not seen or seen[-1] != b"1999") and time.monotonic() < deadline:
        if socket.poll(20):
            seen.append(socket.recv())
    publisher.close()
    assert seen[-1] == b"1999"
    assert len(seen) < 100


def test_remote_endpoints_require_keys(tmp_path, context):
    with pytest.raises(UserError, match=r"leaves this host.*python -m tools.keys"):
        HandPublisher("tcp://0.0.0.0:5570")
    with pytest.raises(UserError, match="leaves this host"):
        subscribe_latest(context, "tcp://192.0.2.1:5570")
    ours, theirs, stranger = (make_keys(tmp_path / name) for name in ("ours", "theirs", "stranger"))
    ours.peers["theirs"], theirs.peers["ours"], stranger.peers["ours"] = theirs.public, ours.public, ours.public
    publisher = LatestPublisher("tcp://127.0.0.1:56701", ours)
    let_in, refused = (subscribe_latest(context, "tcp://127.0.0.1:56701", keys) for keys in (theirs, stranger))
    assert received(let_in, publisher, b"hand") == b"hand"
    for _ in range(20):
        publisher.send(b"hand")
        assert not refused.poll(10)
    publisher.close()


def test_an_address_in_use_is_named(tmp_path):
    publisher = HandPublisher("tcp://127.0.0.1:56702")
    with pytest.raises(UserError, match="cannot be bound"):
        HandPublisher("tcp://127.0.0.1:56702")
    publisher.close()
    HandPublisher("tcp://127.0.0.1:56702").close()


def test_protocol_example_matches_the_wire_format():
    text = (Path(capture.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
    match = re.search(r"```hex hand\n(.*?)```", text, re.DOTALL)
    assert match
    told = bytes.fromhex(match[1].replace("\n", " "))
    sent = encode_hand(example_message())
    assert len(told) > 150 and sent.startswith(told)
    size = re.search(r"\*\*([\d,]+) bytes\*\*", text)
    assert size and len(sent) == int(size[1].replace(",", ""))


def test_protocol_table_lists_every_field():
    text = (Path(capture.__path__[0]) / "PROTOCOL.md").read_text(encoding="utf-8")
    section = text[text.index("# Hands, version") :]
    for name in msgspec.msgpack.decode(encode_hand(example_message())):
        assert f"`{name}`" in section, name


def example_message() -> HandMessage:
    """The hand of the example: seen by both, every joint's x 0.25, y 0.5, z 1."""
    pair = frame_pair(0)
    hand = dual_hand(pair, rotation=np.eye(3))
    joints = np.tile([0.25, 0.5, 1.0], (21, 1))
    for view in hand.views:
        assert view
        view.joints[:] = joints
        view.pixels[:] = 100.0
    hand.joints[:] = joints
    message = hand_message(0, hand_line(pair, hand, np.eye(3)))
    return msgspec.structs.replace(message, captured_unix_ns=None)


def test_the_example_listener_prints_hands_and_counts_those_it_missed(tmp_path):
    endpoint = f"ipc://{tmp_path}/hands"
    publisher = LatestPublisher(endpoint)
    listener = subprocess.Popen(
        [sys.executable, "-m", "tools.listen", endpoint, "--hands", "3"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    number = 0
    deadline = time.monotonic() + 60
    while listener.poll() is None and time.monotonic() < deadline:
        line = hand_line(PAIR, HAND, R_RIGHT_FROM_LEFT)
        line = msgspec.structs.replace(line, wrist_mm=[1.0, 2.0, 400.0], reprojection_px=1.0)
        publisher.send(b"\xc1" if number % 7 == 3 else encode_hand(hand_message(number, line)))
        number += 2
        time.sleep(0.02)
    publisher.close()
    out, err = listener.communicate(timeout=10)
    assert listener.returncode == 0, err
    assert len(out.splitlines()) == 3
    assert "right hand" in out and "seen by left and right" in out and "wrist 1 2 400 mm" in out
    assert re.search(r"3 hands, \d+ missed", err)


def test_a_listener_reports_an_invalid_address():
    done = subprocess.run([sys.executable, "-m", "tools.listen", "tcp://192.0.2.1:1"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tools.listen: address 'tcp://192.0.2.1:1' leaves this host") and done.stderr.count("\n") == 1
