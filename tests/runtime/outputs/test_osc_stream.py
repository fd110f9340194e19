"""OSC bundles, as python-osc's own server reads them."""

import queue
import threading

import numpy as np
import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_server import ThreadingOSCUDPServer

from hand.joints import JOINT_NAMES
from runtime.outputs.hand_line import hand_line
from runtime.outputs.hand_message import hand_message
from runtime.outputs.osc_stream import grab, osc_bundle
from runtime.outputs.stream_registry import open_stream
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair
from tests.runtime.hands import flexed_hand


@pytest.fixture
def server():
    """python-osc's server, and what it received: (address, values)."""
    received: queue.Queue[tuple[str, tuple]] = queue.Queue()
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *values: received.put((address, values)))
    server = ThreadingOSCUDPServer(("127.0.0.1", 0), dispatcher)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], received
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_gets_every_joint(server):
    port, received = server
    output = open_stream(f"osc://127.0.0.1:{port}")
    pair = frame_pair(3)
    hand = dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)
    output.take(pair, [hand])
    got = dict(received.get(timeout=10) for _ in range(24))
    output.close()
    for name, joint in zip(JOINT_NAMES[1:], hand.joints[1:], strict=True):
        np.testing.assert_allclose(got[f"/duohand/right/{name}"], joint * 90, atol=0.01)
    assert got["/duohand/right/number"] == (0,)
    assert set(got) >= {"/duohand/right/pinch", "/duohand/right/grab", "/duohand/right/rotation"}
    assert "/duohand/right/wrist" not in got


def test_a_bundle_fits_a_datagram():
    pair = frame_pair(0)
    dgram = osc_bundle(hand_message(0, hand_line(pair, dual_hand(pair), R_RIGHT_FROM_LEFT)))
    # What Ethernet carries in one piece.
    assert len(dgram) <= 1472 and OscBundle.dgram_is_bundle(dgram)


def test_nobody_listening_costs_nothing(server):
    port, _ = server
    output = open_stream("osc://127.0.0.1:9")
    for seq in range(50):
        output.take(frame_pair(seq), [dual_hand(frame_pair(seq))])
    output.close()
    assert port


def test_grab_grows_with_flexion():
    shares = [grab(flexed_hand(flexion)) for flexion in np.linspace(0, 1.2, 8)]
    assert shares[0] < 0.02 and shares == sorted(shares) and shares[-1] > 0.5
