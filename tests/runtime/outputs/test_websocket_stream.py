"""WebSocket clients get each hand, the newest where they are slow, and only those that may."""

import json
import socket
import threading
import time

import msgspec
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hand.errors import UserError
from hand.orders import OPENXR
from runtime.outputs.hand_message import HandMessage
from runtime.outputs.queued_output import QueuedOutput
from runtime.outputs.stream_registry import open_stream
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair

TOKEN = "a-token-of-24-characters"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served():
    """Opens an output; gives it and the port."""
    opened: list[QueuedOutput] = []

    def serve(scheme: str = "ws", query: str = "") -> tuple[QueuedOutput, str]:
        address = f"127.0.0.1:{free_port()}"
        opened.append(open_stream(f"{scheme}://{address}{query}"))
        return opened[-1], address

    yield serve
    for output in opened:
        output.close()


def publish(output: QueuedOutput, count: int = 1, first: int = 0) -> None:
    for seq in range(first, first + count):
        pair = frame_pair(seq)
        output.take(pair, [dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)])


def first_message(output: QueuedOutput, client: ClientConnection) -> str | bytes:
    """The first that comes, once the server knows the client."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        publish(output)
        try:
            return client.recv(timeout=0.05)
        except TimeoutError:
            continue
    raise AssertionError("nothing came")


def test_a_client_gets_hands_as_json(served):
    output, address = served()
    with connect(f"ws://{address}") as client:
        hand = msgspec.json.decode(first_message(output, client), type=HandMessage)
    expected = dual_hand(frame_pair(0), rotation=R_RIGHT_FROM_LEFT)
    np.testing.assert_allclose(hand.fused.joints, expected.joints, atol=1e-5)
    assert hand.side == "right" and hand.version == 1 and hand.hand_size_mm == 90


def test_a_client_that_asks_for_msgpack_gets_it(served):
    output, address = served()
    with connect(f"ws://{address}", subprotocols=["duohand.msgpack"]) as client, connect(f"ws://{address}") as other:  # pyright: ignore
        message = first_message(output, client)
        assert isinstance(message, bytes)
        hand = msgspec.msgpack.decode(message, type=HandMessage)
        same = msgspec.json.decode(first_message(output, other), type=HandMessage)
    assert hand.fused == same.fused


def test_openxr_clients_get_its_joints(served):
    output, address = served("openxr+ws")
    with connect(f"ws://{address}") as client:
        hand = json.loads(first_message(output, client))
    assert (
        hand["names"] == list(OPENXR.joints)
        and len(hand["position_m"]) == len(hand["orientation"]) == len(hand["radius_m"]) == 26
    )
    expected = dual_hand(frame_pair(0)).joints * [0.09, -0.09, -0.09]
    np.testing.assert_allclose(OPENXR.to_ours(np.array(hand["position_m"])), expected, atol=1e-5)
    assert hand["placed"] is False


def test_a_client_that_takes_nothing_holds_nobody_up(served):
    output, address = served()
    host, port = address.split(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect((host, int(port)))
    with connect(f"ws://{address}", sock=narrow, max_queue=1, close_timeout=0.1) as stalled, connect(f"ws://{address}") as client:
        first_message(output, stalled)
        first_message(output, client)
        seen, number = 0, 1
        deadline = time.monotonic() + 60
        # Until the stalled client's buffers are full, and further.
        while (output.missed == 0 or seen < 50) and time.monotonic() < deadline:
            publish(output, first=number)
            number += 1
            try:
                client.recv(timeout=0.2)
                seen += 1
            except TimeoutError:
                continue
        assert output.missed > 0 and seen >= 50


def test_a_token_is_asked_for(served):
    output, address = served(query=f"?token={TOKEN}")
    for url, headers in (
        (f"ws://{address}", {}),
        (f"ws://{address}/?token=wrong", {}),
        (f"ws://{address}", {"Authorization": "Bearer x"}),
    ):
        with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
            pass
        assert refused.value.response.status_code == 401
    with connect(f"ws://{address}/?token={TOKEN}", origin="https://example.org") as client:  # pyright: ignore
        assert first_message(output, client)
    with connect(f"ws://{address}", additional_headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        assert first_message(output, client)


@pytest.mark.parametrize(
    "origin", ["https://example.org", "null", "http://localhost.example.org", "http://127.0.0.1@example.org"]
)
def test_pages_of_other_hosts_are_refused(served, origin):
    _, address = served()
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://{address}", origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_pages_of_this_host_are_served(served):
    output, address = served()
    with connect(f"ws://{address}", origin="http://localhost:8000") as client:  # pyright: ignore
        assert first_message(output, client)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n" * 200]
)
def test_nonsense_costs_nobody_anything(served, sent):
    output, address = served()
    host, port = address.split(":")
    with connect(f"ws://{address}") as client:
        first_message(output, client)
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=5) as raw:
                raw.sendall(sent)
        assert first_message(output, client)


def test_what_clients_say_is_forgotten_and_too_much_ends_them(served):
    output, address = served()
    with connect(f"ws://{address}") as client, connect(f"ws://{address}") as other:
        first_message(output, client)
        first_message(output, other)
        client.send("hello")
        assert first_message(output, client)
        client.send("x" * 10_000)
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=10)
        assert first_message(output, other)


def test_closing_frees_the_port_and_ends_clients():
    port = free_port()
    threads = threading.active_count()
    for _ in range(2):
        output = open_stream(f"ws://127.0.0.1:{port}")
        with connect(f"ws://127.0.0.1:{port}") as client:
            first_message(output, client)
            output.close()
            with pytest.raises(ConnectionClosed):
                while True:
                    client.recv(timeout=10)
    assert threading.active_count() == threads


def test_an_address_that_cannot_be_used_is_named(served):
    _, address = served()
    with pytest.raises(UserError, match=f"{address} cannot be listened at.*free port"):
        open_stream(f"ws://{address}")
    with pytest.raises(UserError, match="everybody who reaches this host.*token"):
        open_stream("ws://0.0.0.0:8765")
    with pytest.raises(UserError, match="5 characters, expected 16"):
        open_stream("ws://0.0.0.0:8765?token=short")
    with pytest.raises(UserError, match=r"option 'tokn' is not known; expected token"):
        open_stream("ws://127.0.0.1:8765?tokn=x")
    with pytest.raises(UserError, match="is no address"):
        open_stream("ws://127.0.0.1")
    with pytest.raises(UserError, match="is not known: expected ws://"):
        open_stream("wss://127.0.0.1:1")
