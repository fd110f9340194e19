"""Replay gives the recorded pairs; the views of a recording are camera sources."""

import time

import numpy as np
import pytest

from capture import wire
from capture.frames import FramePair
from capture.recording.recorder import Recorder
from capture.recording.replay import PAIR_TOPIC, ReplayPairs
from capture.sources.base import DEFAULT_MODE
from capture.sources.recorded import RecordedCamera, recorded_size
from capture.sources.registry import open_source, parse_source
from capture.stream import PairStream
from capture.views import PerView
from hand.errors import UserError
from tests.capture.clips import numbered_image, read_number
from tests.capture.recordings import BEGAN_NS, MS, PERIOD_NS, TOPICS, captured_ns, pair_of, write_recording


def all_of(pairs: ReplayPairs) -> list[FramePair]:
    taken = []
    with pairs:
        while not pairs.ended:
            pair = pairs.next_pair(0.05)
            if pair is not None:
                taken.append(pair)
    return taken


def test_replay_gives_the_recorded_pairs_with_their_times(tmp_path):
    replay = ReplayPairs(write_recording(tmp_path / "s.mcap", frames=12, pairs_of=3), paced=False)
    pairs = all_of(replay)
    assert [pair.left.seq for pair in pairs] == [pair.right.seq for pair in pairs] == [0, 3, 6, 9]
    for pair in pairs:
        for view in ("left", "right"):
            frame = pair[view]
            np.testing.assert_array_equal(frame.image, numbered_image(frame.seq))
            assert (frame.captured_ns, frame.received_ns) == (captured_ns(frame.seq, view), captured_ns(frame.seq, view) + MS)
            assert frame.fov_deg == 60.0 and not frame.image.flags.writeable
    assert replay.drops == {} and replay.complaint is None and replay.received == PerView(12, 12)


def test_a_frame_written_late_is_replayed_in_its_pair(tmp_path):
    recorder = Recorder(tmp_path / "s.mcap", TOPICS)
    for view in ("left", "right"):
        for number in (1, 0, 2) if view == "left" else (0, 1, 2):
            recorder.message(view, wire.encode(view, number, captured_ns(number, view), numbered_image(number)), BEGAN_NS)
    for number in range(3):
        recorder.note(PAIR_TOPIC, pair_of(number), BEGAN_NS)
    recorder.close()
    assert [pair.left.seq for pair in all_of(ReplayPairs(tmp_path / "s.mcap", paced=False))] == [0, 1, 2]


def test_recorded_hands_are_replayed_with_their_pairs(tmp_path):
    replay = ReplayPairs(write_recording(tmp_path / "s.mcap", frames=8, pairs_of=1), paced=False)
    with replay:
        solvers = {}
        while (pair := replay.next_pair(1)) is not None:
            assert replay.current
            solvers[pair.left.seq] = replay.current.solver
    assert [seq for seq, solver in solvers.items() if solver == "solved"] == [3, 7]


def test_paced_replay_keeps_the_recorded_timing(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=10, pairs_of=3)
    began = time.monotonic()
    assert len(all_of(ReplayPairs(path, paced=True))) == 4
    assert time.monotonic() - began >= 9 * PERIOD_NS / 1e9


def test_a_pair_without_recorded_frames_is_skipped_and_counted(tmp_path):
    path = tmp_path / "s.mcap"
    recorder = Recorder(path, TOPICS)
    recorder.message("left", wire.encode("left", 0, captured_ns(0, "left"), numbered_image(0)), BEGAN_NS)
    recorder.note(PAIR_TOPIC, pair_of(0), BEGAN_NS)
    recorder.close()
    replay = ReplayPairs(path, paced=False)
    assert all_of(replay) == [] and replay.drops == {"not_recorded": 2}


def test_recorded_views_are_camera_sources(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=9)
    assert parse_source(f"{path}#right") == RecordedCamera(path, "right")
    numbers = []
    with PairStream(PerView(f"{path}#left", f"{path}#right"), every_pair=True) as stream:
        while not stream.ended:
            pair = stream.next_pair(30)
            if pair is not None:
                assert pair.skew_ns == 2 * MS
                assert pair.left.fov_deg == 60.0
                numbers.append((pair.left.seq, read_number(pair.left.image), read_number(pair.right.image)))
    assert stream.failure is None
    assert numbers == [(number, number, number) for number in range(9)]


def test_recorded_sources_keep_gaps_and_times(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=4)
    for view, first in PerView(0, 2 * MS).items():
        source = open_source(f"{path}#{view}", view, paced=False, mode=DEFAULT_MODE)
        assert [shot.captured_ns for shot in source.frames(1_000)] == [1_000 + first + n * PERIOD_NS for n in range(4)]


def test_frame_sizes_are_reported(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=2)
    assert recorded_size(path, "left") == recorded_size(path, "right") == (64, 48)


def test_a_recording_source_without_a_view_or_file_is_an_error(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=2)
    with pytest.raises(UserError, match="#left or"):
        parse_source(str(path))
    with pytest.raises(UserError, match="no such file"):
        parse_source(f"{tmp_path}/gone.mcap#left")
    (tmp_path / "bad.mcap").write_bytes(b"no")
    with pytest.raises(UserError, match="no recording"):
        open_source(f"{tmp_path}/bad.mcap#left", "left", paced=False, mode=DEFAULT_MODE)
    recorder = Recorder(tmp_path / "half.mcap", TOPICS)
    recorder.message("left", wire.encode("left", 0, 1, numbered_image(0)), BEGAN_NS)
    recorder.close()
    with pytest.raises(UserError, match="no frame of the right camera"):
        open_source(f"{tmp_path}/half.mcap#right", "right", paced=False, mode=DEFAULT_MODE)
    # A camera that never opened leaves no file.
    Recorder(tmp_path / "empty.mcap", TOPICS).close()
    assert not (tmp_path / "empty.mcap").exists()
