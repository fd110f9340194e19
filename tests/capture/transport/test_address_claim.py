"""An ipc address belongs to one program: a second is refused, a dead program's socket is replaced, a file is never touched."""

import multiprocessing
import signal
import socket
import subprocess
import sys
import uuid

import pytest
import zmq

from capture.transport.address_claim import AddressClaim
from capture.transport.latest_publisher import LatestPublisher, subscribe_latest
from capture.transport.publisher import Publisher
from hand.errors import UserError
from tests.paths import ROOT

TIMEOUT_S = 120

PROGRAM = """
import sys
from capture.transport.latest_publisher import LatestPublisher
publisher = LatestPublisher(sys.argv[1])
print("bound", flush=True)
sys.stdin.read()
"""


def start(endpoint: str) -> subprocess.Popen[str]:
    """Another program, which has bound the address."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, endpoint], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout and program.stdout.readline() == "bound\n"
    return program


def kill(program: subprocess.Popen[str]) -> None:
    program.send_signal(signal.SIGKILL)
    program.communicate(timeout=TIMEOUT_S)


def arrives(endpoint: str, publisher: LatestPublisher) -> bool:
    """Whether a new receiver gets what is sent."""
    with zmq.Context() as context, subscribe_latest(context, endpoint) as receiver:
        for _ in range(1000):
            publisher.send(b"hand")
            if receiver.poll(20):
                return receiver.recv() == b"hand"
    return False


@pytest.mark.parametrize("name", ["path", "abstract"])
@pytest.mark.parametrize("second", [LatestPublisher, lambda endpoint: Publisher(endpoint, lossless=False)], ids=["hands", "feed"])
def test_a_second_publisher_is_refused_and_the_first_keeps_its_receivers(tmp_path, name, second):
    endpoint = f"ipc://{tmp_path}/hands" if name == "path" else f"ipc://@duohand-{uuid.uuid4()}"
    first = LatestPublisher(endpoint)
    with pytest.raises(UserError, match=r"ipc://.* cannot be bound: Address already in use.*; give .*a free one"):
        second(endpoint)
    assert arrives(endpoint, first)
    first.close()
    # Freed, it can be bound again.
    again = LatestPublisher(endpoint)
    assert arrives(endpoint, again)
    again.close()
    assert not list(tmp_path.iterdir())


def test_another_programs_address_is_refused_until_it_has_died(tmp_path):
    endpoint = f"ipc://{tmp_path}/hands"
    program = start(endpoint)
    with pytest.raises(UserError, match="already in use"):
        LatestPublisher(endpoint)
    kill(program)
    # Its socket and its lock are still there.
    assert len(list(tmp_path.iterdir())) == 2
    publisher = LatestPublisher(endpoint)
    assert arrives(endpoint, publisher)
    publisher.close()


def test_a_socket_of_a_program_that_knows_no_lock_is_refused_while_it_listens(tmp_path):
    path = tmp_path / "hands"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as foreign:
        foreign.bind(str(path))
        foreign.listen(0)
        # Also once its queue of connections is full.
        with pytest.raises(UserError, match="already in use"):
            LatestPublisher(f"ipc://{path}")
        with pytest.raises(UserError, match="already in use"):
            LatestPublisher(f"ipc://{path}")
    publisher = LatestPublisher(f"ipc://{path}")
    publisher.close()


def test_a_file_at_the_address_is_kept(tmp_path):
    file = tmp_path / "hands.jsonl"
    file.write_text("hands of an hour")
    with pytest.raises(UserError, match="cannot be bound: File exists"):
        LatestPublisher(f"ipc://{file}")
    assert file.read_text() == "hands of an hour"
    # Nor is a file taken for the lock.
    lock = tmp_path / "other.lock"
    lock.write_text("mine")
    LatestPublisher(f"ipc://{tmp_path}/other").close()
    assert lock.read_text() == "mine"


def test_an_address_in_no_folder_is_refused_with_its_reason(tmp_path):
    with pytest.raises(UserError, match="cannot be bound: No such file or directory"):
        LatestPublisher(f"ipc://{tmp_path}/none/hands")


def claim(endpoint: str, start, results) -> None:
    start.wait()
    try:
        AddressClaim(endpoint)
        results.put(1)
    except zmq.ZMQError:
        results.put(0)
    # Until all have tried.
    start.wait()


def test_of_programs_that_start_at_once_one_gets_the_address(tmp_path):
    context = multiprocessing.get_context("fork")
    count = 6
    begin, results = context.Barrier(count + 1), context.SimpleQueue()
    programs = [context.Process(target=claim, args=(f"ipc://{tmp_path}/hands", begin, results)) for _ in range(count)]
    for program in programs:
        program.start()
    begin.wait(TIMEOUT_S)
    assert sum(results.get() for _ in programs) == 1
    begin.wait(TIMEOUT_S)
    for program in programs:
        program.join(TIMEOUT_S)
