"""Encrypted transport: keys are private, authorized peers are served, others are refused and counted."""

import contextlib
import resource
import signal
import stat
import threading
import time

import numpy as np
import pytest
import zmq

from capture import wire
from capture.stream import PairStream
from capture.transport.keys import load_keys, make_keys, secure_client
from capture.transport.publisher import Publisher
from capture.views import PerView
from hand.errors import UserError

IMAGE = np.zeros((8, 8, 3), np.uint8)
TIMEOUT_S = 120.0


@pytest.fixture
def folders(tmp_path):
    """Keys of a sender and a receiver that trust each other, and of a stranger who trusts the sender."""
    made = {name: make_keys(tmp_path / name) for name in ("sender", "receiver", "stranger")}
    for owner, peer in (("sender", "receiver"), ("receiver", "sender"), ("stranger", "sender")):
        (tmp_path / owner / "peers" / f"{peer}.key").write_bytes((made[peer].folder / "own.key").read_bytes())
    return {name: load_keys(tmp_path / name) for name in made}


def test_keys_that_cannot_be_written_leave_none_behind(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limit[1]))
    try:
        with pytest.raises(UserError, match="File too large"):
            make_keys(tmp_path / "keys")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert not [file for file in (tmp_path / "keys").rglob("*") if file.is_file()]
    assert make_keys(tmp_path / "keys").public


def test_a_key_without_its_secret_is_not_replaced(tmp_path):
    made = make_keys(tmp_path / "keys")
    (made.folder / "own.key_secret").unlink()
    with pytest.raises(UserError, match=r"own\.key exists"):
        make_keys(tmp_path / "keys")


@pytest.fixture
def publisher(folders):
    """A publisher with keys, which sends until the test is over, and its address."""
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    stop = threading.Event()
    publisher = Publisher(f"tcp://127.0.0.1:{port}", lossless=False, keys=folders["sender"], clock="tcp://127.0.0.1:*")

    def send() -> None:
        seq = 0
        while not stop.wait(0.005):
            for view in ("left", "right"):
                message = wire.encode(view, seq, time.monotonic_ns(), IMAGE, clock_port=publisher.clock_port)
                publisher.send(message, stop)
            seq += 1

    thread = threading.Thread(target=send)
    thread.start()
    yield publisher, f"tcp://127.0.0.1:{port}"
    stop.set()
    thread.join()
    publisher.close()


@contextlib.contextmanager
def subscriber(endpoint: str, keys=None, server: bytes = b""):
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.linger = 0
        if keys is not None:
            secure_client(socket, keys, server)
        socket.subscribe(b"")
        socket.connect(endpoint)
        yield socket


def test_an_authorized_peer_is_served_and_its_clock_known(publisher, folders):
    _, endpoint = publisher
    with PairStream(PerView(endpoint, endpoint), keys=folders["receiver"]) as stream:
        deadline = time.monotonic() + TIMEOUT_S
        while stream.next_pair(0.1) is None or "left" not in stream.clocks:
            assert time.monotonic() < deadline and not stream.ended, stream.failure
        # Both ends share one clock.
        clock = stream.clocks["left"]
        assert abs(clock.offset_ns) <= clock.bound_ns


def test_a_receiver_that_is_refused_says_why_and_goes_on_with_its_other_camera(publisher, folders):
    _, endpoint = publisher
    with PairStream(PerView("pattern?size=64x64", endpoint), keys=folders["stranger"]) as stream:
        deadline = time.monotonic() + TIMEOUT_S
        while (pair := stream.next_pair(0.1)) is None or not stream.findings.all:
            assert time.monotonic() < deadline and not stream.ended, stream.failure
        assert pair.right.absent and not pair.left.absent
        (finding,) = stream.findings.all
        assert (finding.kind, finding.view, finding.level) == ("view_missing", "right", "error")
        assert f"{endpoint} does not know this side's key; put own.key of the folder of keys into peers/ there" in finding.text


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_unauthorized_peers_get_nothing_and_are_counted(publisher, folders, who):
    sender, endpoint = publisher
    keys = folders["stranger"] if who == "stranger" else None
    with subscriber(endpoint, keys, folders["sender"].public) as socket:
        deadline = time.monotonic() + TIMEOUT_S
        while not sender.refused:
            assert time.monotonic() < deadline
            assert not socket.poll(10)
        # The sender still serves its authorized peer, and nothing has arrived here.
        with subscriber(endpoint, folders["receiver"], folders["sender"].public) as good:
            assert good.poll(round(TIMEOUT_S * 1000))
        assert not socket.poll(0)


def test_a_receiver_accepts_only_the_given_server_key(publisher, folders):
    _, endpoint = publisher
    with subscriber(endpoint, folders["receiver"], folders["stranger"].public) as socket:
        assert not socket.poll(300)


def test_key_files_are_private_and_never_overwritten(tmp_path):
    make_keys(tmp_path / "keys")
    assert stat.S_IMODE((tmp_path / "keys" / "own.key_secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    with pytest.raises(UserError, match="own.key_secret exists"):
        make_keys(tmp_path / "keys")
    (tmp_path / "keys" / "own.key_secret").chmod(0o640)
    with pytest.raises(UserError, match="may be read by others; chmod 600"):
        load_keys(tmp_path / "keys")


def test_invalid_keys_are_errors_with_their_reason(tmp_path, folders):
    with pytest.raises(UserError, match="no keys in .*gone; python -m tools.keys"):
        load_keys(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no headset.key, but the keys of sender"):
        folders["receiver"].peer("headset")
    (tmp_path / "receiver" / "peers" / "second.key").write_bytes((tmp_path / "stranger" / "own.key").read_bytes())
    with pytest.raises(UserError, match=r"holds the keys of second, sender: say whose with \?key=NAME"):
        PairStream(PerView("tcp://10.0.0.1:5601", "0"), keys=load_keys(tmp_path / "receiver"))
    (tmp_path / "receiver" / "peers" / "second.key").write_text("nothing")
    with pytest.raises(UserError, match="second.key is no key file"):
        load_keys(tmp_path / "receiver")
    assert folders["sender"].secret.decode() not in repr(folders["sender"])


def test_without_keys_an_external_address_is_an_error_that_names_the_command(folders):
    with pytest.raises(UserError, match=r"left camera: .*10\.0\.0\.1.*python -m tools\.keys"):
        PairStream(PerView("tcp://10.0.0.1:5601", "0"))
    PairStream(PerView("tcp://10.0.0.1:5601?key=sender", "0"), keys=folders["receiver"])
