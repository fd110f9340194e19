"""The example feed: another program's frames reach a stream, and what the user gets wrong is one sentence."""

import socket
import subprocess
import sys

import pytest

from capture.stream import PairStream
from capture.views import VIEWS, PerView
from tests.capture.clips import read_number, write_clip
from tests.paths import ROOT


def start_feed(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools.feed", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_feeds_reach_a_stream_whole(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 30)
    addresses = PerView.of(lambda view: f"ipc://{tmp_path}/{view}")
    processes = [
        start_feed("--source", str(clip), "--view", view, "--bind", addresses[view], "--every-frame", "--format", "rgb8")
        for view in VIEWS
    ]
    # The two feeds start their clips at different moments, so a pair's numbers may differ; nothing may be lost.
    numbers: list[int] = []
    with PairStream(addresses, every_pair=True, tolerance_ns=10**12) as stream:
        while not stream.ended:
            pair = stream.next_pair(30.0)
            if pair is not None:
                numbers.append(read_number(pair.left.image))
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        assert "clip.mp4" in output
    assert stream.failure is None
    assert numbers and numbers == sorted(set(numbers))
    assert "lost" not in stream.drops and "malformed" not in stream.drops


def test_feeds_over_tcp_answer_for_their_clock_and_lose_nothing_to_that(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 30)
    with socket.socket() as left, socket.socket() as right:
        for each in (left, right):
            each.bind(("127.0.0.1", 0))
        addresses = PerView(*(f"tcp://127.0.0.1:{each.getsockname()[1]}" for each in (left, right)))
    common = ["--source", str(clip), "--every-frame", "--format", "rgb8"]
    processes = [start_feed(*common, "--view", view, "--bind", addresses[view]) for view in VIEWS]
    pairs = 0
    # Files that play at the reader's pace are stamped ahead of time, which is no fault of their clock.
    with PairStream(addresses, every_pair=True, tolerance_ns=10**12) as stream:
        while not stream.ended:
            pairs += stream.next_pair(30.0) is not None
        clocks = stream.clocks
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    assert stream.failure is None and max(stream.received) == 30
    assert pairs and not {"ahead", "unsynchronised", "lost"} & stream.drops.keys()
    assert all(abs(clock.offset_ns) <= clock.bound_ns for clock in clocks.values()) and clocks


@pytest.mark.parametrize(
    ("source", "bind", "complaint"),
    [
        ("gone.mp4", "ipc:///tmp/x", "tools.feed: source 'gone.mp4': there is no such file"),
        ("synthetic", "tcp://0.0.0.0:5601", "tools.feed: address 'tcp://0.0.0.0:5601' leaves this host"),
    ],
)
def test_a_mistake_is_one_sentence(source, bind, complaint):
    process = start_feed("--source", source, "--view", "left", "--bind", bind)
    _output, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.startswith(complaint) and errors.count("\n") == 1
