"""Pair streams with real processes and sockets: pairs in order, the newest live, and complete clean-up."""

import contextlib
import itertools
import logging
import multiprocessing
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.util import get_temp_dir
from pathlib import Path

import numpy as np
import pytest
import zmq

from capture import wire
from capture.clip_timing import ClipTiming
from capture.stream import PairStream
from capture.views import VIEWS, PerView, View
from hand.errors import UserError
from hand.findings import Finding
from tests.capture.clips import numbered_image, read_number, write_clip
from tests.paths import ROOT

TIMEOUT_S = 120.0


@pytest.fixture(autouse=True)
def private_temporary_directory(tmp_path, monkeypatch):
    """A temporary directory that contains only files of the stream."""
    # multiprocessing keeps its own socket here while the tests run.
    get_temp_dir()
    directory = tmp_path / "t"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    # Other tests may have processes and threads of their own in this program.
    threads, processes = set(threading.enumerate()), set(multiprocessing.active_children())
    yield directory
    assert set(multiprocessing.active_children()) <= processes
    assert set(threading.enumerate()) <= threads
    assert not list(directory.iterdir())


def clips(directory: Path, left: int, right: int) -> PerView[str]:
    return PerView(str(write_clip(directory / "left.mp4", left)), str(write_clip(directory / "right.mp4", right)))


def read_all(stream: PairStream) -> list:
    """Pairs until the stream has ended."""
    pairs = []
    while not stream.ended:
        pair = stream.next_pair(TIMEOUT_S)
        if pair is not None:
            pairs.append(pair)
    return pairs


@contextlib.contextmanager
def feeds(directory: Path):
    """Two bound sockets for a test to send from, and their addresses."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as left, context.socket(zmq.XPUB) as right:
        sockets = PerView(left, right)
        sources = PerView.of(lambda view: f"ipc://{directory}/{view}")
        for view, socket in sockets.items():
            socket.linger = 0
            socket.bind(sources[view])
        yield sockets, sources


def send(sockets: PerView[zmq.Socket], seq: int) -> None:
    for view, socket in sockets.items():
        socket.send_multipart(wire.encode(view, seq, 1000 * seq, numbered_image(seq)))


def await_subscriptions(sockets: PerView[zmq.Socket]) -> None:
    for view, socket in sockets.items():
        assert socket.recv() == b"\x01" + view.encode()


def test_every_pair_of_two_files_comes_in_order(tmp_path):
    with PairStream(clips(tmp_path, 60, 60), every_pair=True) as stream:
        pairs = read_all(stream)
    assert [(pair.left.seq, pair.right.seq) for pair in pairs] == [(seq, seq) for seq in range(60)]
    assert all(read_number(pair[view].image) == pair[view].seq for pair in pairs for view in VIEWS)
    assert {pair.skew_ns for pair in pairs} == {0}
    assert stream.drops == {} and stream.failure is None
    assert stream.received == PerView(60, 60)


def test_a_shorter_file_ends_the_stream_and_the_rest_has_no_partner(tmp_path):
    with PairStream(clips(tmp_path, 5, 40), every_pair=True) as stream:
        pairs = read_all(stream)
    assert [pair.left.seq for pair in pairs] == list(range(5))
    assert set(stream.drops) <= {"no_partner"} and stream.failure is None


@pytest.mark.parametrize(("offset_s", "rate", "first", "last"), [(0.5, 1.0, (15, 0), (39, 24)), (-0.5, 1.0, (0, 15), (24, 39))])
def test_clips_with_a_timing_are_paired_on_the_clock_that_they_share(tmp_path, offset_s, rate, first, last):
    with PairStream(clips(tmp_path, 40, 40), every_pair=True, timing=ClipTiming.of(offset_s, rate)) as stream:
        pairs = read_all(stream)
    seqs = [(pair.left.seq, pair.right.seq) for pair in pairs]
    assert (seqs[0], seqs[-1], len(seqs)) == (first, last, 25)
    assert {pair.skew_ns for pair in pairs} == {0} and stream.failure is None


def test_a_clip_that_plays_slower_is_paired_frame_by_frame_of_the_same_moment(tmp_path):
    sources = PerView(str(write_clip(tmp_path / "left.mp4", 10)), str(write_clip(tmp_path / "right.mp4", 40)))
    with PairStream(sources, every_pair=True, timing=ClipTiming.of(0.0, 4.0)) as stream:
        pairs = read_all(stream)
    assert [(pair.left.seq, pair.right.seq) for pair in pairs] == [(seq, 4 * seq) for seq in range(10)]


def test_only_clips_take_a_timing(tmp_path):
    sources = PerView(str(write_clip(tmp_path / "left.mp4", 3)), "pattern")
    with pytest.raises(UserError, match="right source 'pattern' is no clip on disk.*leave out --offset and --rate"):
        PairStream(sources, timing=ClipTiming.of(0.5, 1.0))


def test_clips_of_different_lengths_are_a_finding(tmp_path):
    stream = PairStream(clips(tmp_path, 10, 90), every_pair=True)
    assert stream.of_clips
    with stream:
        read_all(stream)
    assert [finding.kind for finding in stream.findings.all] == ["clip_lengths"]


def test_live_files_play_at_their_pace_and_account_for_every_frame(tmp_path):
    with PairStream(clips(tmp_path, 20, 20)) as stream:
        pairs = read_all(stream)
    lengths = [(b.left.captured_ns - a.left.captured_ns) / (b.left.seq - a.left.seq) for a, b in itertools.pairwise(pairs)]
    np.testing.assert_allclose(lengths, 1e9 / 30, rtol=1e-6)
    assert all(pair[view].received_ns >= pair[view].captured_ns for pair in pairs for view in VIEWS)
    lost = stream.drops.get("lost", 0)
    assert sum(stream.received) + lost <= 40
    assert sum(stream.received) == 2 * len(pairs) + sum(stream.drops.values()) - lost


def test_feeds_are_read_directly_and_garbage_is_counted(tmp_path):
    with feeds(tmp_path) as (sockets, sources), PairStream(sources, every_pair=True) as stream:
        await_subscriptions(sockets)
        for seq in range(10):
            sockets.left.send_multipart([b"left", b"garbage", b""])
            sockets.right.send_multipart([b"right"])
            send(sockets, seq)
        for view, socket in sockets.items():
            socket.send_multipart(wire.encode_end(view, 10))
        pairs = read_all(stream)
    assert [read_number(pair.right.image) for pair in pairs] == list(range(10))
    assert stream.drops == {"malformed": 20}
    assert stream.complaint is not None


def test_live_only_the_newest_unread_pair_is_kept(tmp_path):
    with feeds(tmp_path) as (sockets, sources), PairStream(sources) as stream:
        await_subscriptions(sockets)
        for seq in range(5):
            send(sockets, seq)
            # One pair at a time: frames that are read in batches lose more than the unread pairs.
            while stream.received != PerView(seq + 1, seq + 1):
                assert not stream.ended
                os.sched_yield()
        for view, socket in sockets.items():
            socket.send_multipart(wire.encode_end(view, 5))
        (pair,) = read_all(stream)
    assert pair.left.seq == pair.right.seq == 4
    assert sum(stream.received) == 10 == 2 + sum(stream.drops.values())


def test_a_feed_without_frames_ends_the_stream_with_an_error_that_names_it(tmp_path):
    with feeds(tmp_path) as (_sockets, sources), PairStream(sources, silence_s=0.2) as stream:
        assert stream.next_pair(TIMEOUT_S) is None
        assert stream.ended
        assert stream.failure is not None and sources.left in stream.failure


@pytest.mark.parametrize("every_pair", [False, True])
def test_a_killed_camera_ends_the_stream_with_an_error_that_names_it(tmp_path, every_pair):
    with PairStream(clips(tmp_path, 250, 250), every_pair=every_pair) as stream:
        assert stream.next_pair(TIMEOUT_S) is not None
        os.kill(camera("left"), signal.SIGKILL)
        read_all(stream)
        assert stream.failure is not None and "ended unexpectedly (exit code -9)" in stream.failure


def camera(view: View) -> int:
    """The process that captures a view."""
    (found,) = (child.pid for child in multiprocessing.active_children() if child.name == f"duohand-{view}")
    assert found is not None
    return found


def await_pair(stream: PairStream, wanted) -> None:
    """Read until a pair comes that is `wanted`."""
    deadline = time.monotonic() + TIMEOUT_S
    while (pair := stream.next_pair(0.1)) is None or not wanted(pair):
        assert time.monotonic() < deadline and not stream.ended, stream.failure


def test_a_killed_live_camera_is_restarted(caplog):
    caplog.set_level(logging.INFO)
    with PairStream(PerView("pattern?size=64x64", "pattern?size=64x64")) as stream:
        await_pair(stream, lambda pair: pair.complete)
        os.kill(camera("left"), signal.SIGKILL)
        await_pair(stream, lambda pair: pair.left.absent)
        await_pair(stream, lambda pair: pair.complete)
        assert stream.failure is None
    # On a busy machine a delayed camera may count as lost, too.
    assert stream.faults["left_absent"] >= 1 and stream.faults["left_restarts"] >= 1
    gone, back, *_ = (message for message in caplog.messages if message.startswith("left camera: "))
    assert "ended unexpectedly (exit code -9); going on with the right one" in gone
    assert back.startswith("left camera: back after")


def test_a_paused_feed_has_a_substitute_until_it_resumes(tmp_path):
    with feeds(tmp_path) as (sockets, sources), PairStream(sources) as stream:
        await_subscriptions(sockets)
        seq = 0

        def send_until(wanted, views) -> None:
            nonlocal seq
            deadline = time.monotonic() + TIMEOUT_S
            while (pair := stream.next_pair(0.01)) is None or not wanted(pair):
                assert time.monotonic() < deadline and not stream.ended
                seq += 1
                for view in views:
                    sockets[view].send_multipart(wire.encode(view, seq, 1000 * seq, numbered_image(seq % 256)))

        send_until(lambda pair: pair.complete, VIEWS)
        send_until(lambda pair: pair.right.absent, ["left"])
        send_until(lambda pair: pair.complete, VIEWS)
        assert stream.faults["right_absent"] >= 1 and stream.failure is None


def found_of(stream: PairStream, kind: str) -> list[Finding]:
    """Its findings of a kind: on a busy machine there may be others."""
    return [finding for finding in stream.findings.all if finding.kind == kind]


def test_a_view_whose_images_are_cut_off_is_said_and_the_other_one_goes_on(tmp_path):
    with feeds(tmp_path) as (sockets, sources), PairStream(sources) as stream:
        await_subscriptions(sockets)
        deadline, seq, pair = time.monotonic() + TIMEOUT_S, 0, None
        while not found_of(stream, "images_undecodable") or pair is None or pair.left.absent:
            assert time.monotonic() < deadline and not stream.ended
            for view, socket in sockets.items():
                topic, header, image = wire.encode(view, seq, time.monotonic_ns(), numbered_image(seq % 256), "jpeg")
                socket.send_multipart([topic, header, image if view == "left" else image[: len(image) // 3]])
            pair = stream.next_pair(0.01)
            seq += 1
        (finding,) = found_of(stream, "images_undecodable")
        assert finding.view == "right" and "cut off" in finding.text
        assert pair.right.absent and pair.right.image.shape == pair.left.image.shape


def test_a_view_that_is_stamped_by_another_clock_is_said_and_both_go_on(tmp_path):
    with feeds(tmp_path) as (sockets, sources), PairStream(sources) as stream:
        await_subscriptions(sockets)
        deadline, seq, pair = time.monotonic() + TIMEOUT_S, 0, None
        while not found_of(stream, "times_wall_clock") or pair is None or not pair.complete:
            assert time.monotonic() < deadline and not stream.ended
            stamps = PerView(time.time_ns(), time.monotonic_ns())
            for view, socket in sockets.items():
                socket.send_multipart(wire.encode(view, seq, stamps[view], numbered_image(seq % 256)))
            seq += 1
            pair = stream.next_pair(0.02)
        (finding,) = found_of(stream, "times_wall_clock")
        assert finding.view == "left" and "clock_port" in finding.text


def test_a_feed_under_another_name_and_one_that_nobody_publishes_are_said(tmp_path):
    with feeds(tmp_path) as (sockets, sources):
        unheard = PerView(sources.left, f"ipc://{tmp_path}/nobody")
        for where, says in ((sources, "messages of view 'left' have come"), (unheard, "nothing listens at ipc://")):
            with PairStream(where) as stream:
                deadline, seq = time.monotonic() + TIMEOUT_S, 0
                while not (found := [each for each in stream.findings.all if each.view == "right"]):
                    assert time.monotonic() < deadline and not stream.ended
                    for socket in sockets:
                        socket.send_multipart(wire.encode("left", seq, time.monotonic_ns(), numbered_image(seq % 256)))
                    seq += 1
                    stream.next_pair(0.02)
                assert found[0].kind == "view_missing" and says in found[0].text


@pytest.mark.parametrize("every_pair", [False, True])
def test_closing_early_leaves_no_process_or_file_and_is_idempotent(tmp_path, every_pair):
    with PairStream(clips(tmp_path, 250, 250), every_pair=every_pair) as stream:
        assert stream.next_pair(TIMEOUT_S) is not None
    read_all(stream)
    assert stream.failure is None
    stream.close()


def test_a_file_that_is_not_a_video_is_an_error_on_opening_that_cleans_up(tmp_path):
    (tmp_path / "notes.mp4").write_text("not a video")
    good = write_clip(tmp_path / "left.mp4", 5)
    with pytest.raises(UserError, match="right camera: .*notes.mp4.*cannot be read"):
        PairStream(PerView(str(good), str(tmp_path / "notes.mp4"))).__enter__()


def test_a_missing_file_is_an_error_before_any_process_starts(tmp_path):
    with pytest.raises(UserError, match="left camera: .*gone.mp4.*no such file"):
        PairStream(PerView(str(tmp_path / "gone.mp4"), "0"))


PARENT = """
import sys
from capture.stream import PairStream
from capture.views import PerView
from multiprocessing import active_children

if __name__ == "__main__":
    with PairStream(PerView(*sys.argv[1:3]), every_pair=True) as stream:
        assert stream.next_pair(100.0) is not None
        try:
            # Inside the block: the signal may come as soon as this line is printed.
            print(*(child.pid for child in active_children()), flush=True)
            sys.stdin.read()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_no_process_and_no_file_outlives_the_program(tmp_path, private_temporary_directory, ending):
    sources = clips(tmp_path, 250, 250)
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", *sources],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        # Shells let background processes ignore Ctrl-C, and this program would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert parent.stdout
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    watched = [os.pidfd_open(pid) for pid in children]
    if ending == signal.SIGINT:
        # To the whole group, as a terminal sends Ctrl-C.
        os.killpg(parent.pid, ending)
    else:
        parent.kill()
    output, errors = parent.communicate(timeout=TIMEOUT_S)
    for descriptor in watched:
        readable, _, _ = select.select([descriptor], [], [], TIMEOUT_S)
        os.close(descriptor)
        assert readable, "a capture process outlived its parent"
    if ending == signal.SIGINT:
        assert output == "interrupted\n" and errors == "" and parent.returncode == 0
