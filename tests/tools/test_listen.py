"""The example receiver says what it waits for, once, and who is there that sends nothing."""

import subprocess
import sys

import pytest

from capture.connection import Connection
from capture.transport.latest_publisher import LatestPublisher
from tests.paths import ROOT
from tools.listen import Waiting

SECOND = 1_000_000_000
ADDRESS = "tcp://127.0.0.1:5570"


def said(waiting: Waiting, connection: Connection, seconds: range, invalid: int = 0) -> list[str]:
    """What is said over some seconds of a state."""
    sentences = [waiting.sentence(connection, invalid, at * SECOND // 10) for at in range(10 * seconds.start, 10 * seconds.stop)]
    return [sentence for sentence in sentences if sentence is not None]


def test_a_wait_for_a_program_is_said_once_and_when_it_is_over():
    waiting = Waiting(ADDRESS, 0)
    (first,) = said(waiting, Connection.WAITING, range(60))
    assert first.startswith("waiting: nothing listens at tcp://127.0.0.1:5570") and "--publish" in first
    connected, silent = said(waiting, Connection.READY, range(60, 90))
    assert connected == "connected to tcp://127.0.0.1:5570"
    assert "no message has come yet" in silent
    waiting.hand(90 * SECOND)
    assert not said(waiting, Connection.READY, range(90, 200))
    assert len(said(waiting, Connection.WAITING, range(200, 300))) == 1


def test_nothing_is_said_where_hands_come_within_a_second():
    waiting = Waiting(ADDRESS, 0)
    assert waiting.sentence(Connection.WAITING, 0, SECOND // 2) is None
    waiting.hand(SECOND // 2)
    assert not said(waiting, Connection.READY, range(1, 60))


@pytest.mark.parametrize("connection", [state for state in Connection if state.refused])
def test_refused_keys_and_other_messages_are_said(connection):
    assert "start again" in said(Waiting(ADDRESS, 0), connection, range(9))[0]
    (invalid,) = said(Waiting(ADDRESS, 0), Connection.READY, range(9), invalid=12)
    assert "12 messages" in invalid and "--publish" in invalid


def test_the_command_waits_for_a_publisher(tmp_path):
    endpoint = f"ipc://{tmp_path}/hands"
    listener = subprocess.Popen(
        [sys.executable, "-m", "tools.listen", endpoint], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listener.stderr
    assert listener.stderr.readline().startswith(f"waiting: nothing listens at {endpoint}")
    publisher = LatestPublisher(endpoint)
    assert listener.stderr.readline() == f"connected to {endpoint}\n"
    assert "no message has come yet" in listener.stderr.readline()
    listener.terminate()
    _, err = listener.communicate(timeout=120)
    publisher.close()
    assert listener.returncode == 0 and err == "0 hands, 0 missed\n"
