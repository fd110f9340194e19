"""Looking into recordings, cutting, exporting and repairing them, as their user does."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader

from adapt.offline.recording import RecordingSettings, frame_size
from capture import wire
from capture.recording.reader import Recording
from capture.views import VIEWS
from hand.errors import UserError
from runtime.outputs.run_recorder import HAND_TOPIC, RunMetadata, RunRecorder
from runtime.settings import Settings
from tests.capture.clips import numbered_image, read_number
from tests.paths import ROOT
from tests.runtime.dual_hands import R_RIGHT_FROM_LEFT, dual_hand, frame_pair
from tools.session import main

FRAMES = 90
WEIGHTS = "ab" * 32


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Three seconds of a run: every third pair was taken, and each of those has a hand."""
    path = tmp_path_factory.mktemp("session") / "s.mcap"
    settings = Settings(left="left.mp4", right="right.mp4", every_pair=True, merge="rotation")
    about = RunMetadata(
        settings=settings, engine="torch on cpu", weights_sha256=WEIGHTS, threads=None, torch_threads=1, started_at="2026-01-01"
    )
    record = RunRecorder(path, settings, about)
    record.drops = lambda: {"superseded": 4}
    for number in range(FRAMES):
        pair = frame_pair(number)
        for view in VIEWS:
            frame = pair[view]
            message = wire.encode(view, frame.seq, frame.captured_ns, numbered_image(number))
            record.recorder.message(view, message, frame.received_ns)
        if number % 3 == 0:
            record.take(pair, [dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)])
    record.close()
    return path


@pytest.fixture
def tool(capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; gives its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_info_says_what_is_in_it(recorded, tool):
    code, out, _ = tool("info", recorded)
    assert code == 0
    for words in (
        "2.9 s",
        "left       90 frames at 30.3/s, 64x48 rgb8",
        "30 taken, 30 hands (right 30)",
        "p50 1.0 ms",
        "superseded 4",
        f"sha256 {WEIGHTS}",
        "torch on cpu",
        "left left.mp4, right right.mp4, every_pair True, merge rotation",
    ):
        assert words in out, words


def test_a_part_holds_what_came_in_its_seconds(recorded, tmp_path, tool):
    code, _out, err = tool("cut", recorded, tmp_path / "part.mcap", "--start", 1, "--end", 2)
    assert code == 0, err
    with Recording(tmp_path / "part.mcap") as part:
        frames = [message for message in part.wire_messages() if message.view == "left"]
        assert part.broken is None
    assert 29 <= len(frames) <= 31
    assert read_number(wire.decode(wire.unpack(frames[0].parts), 0).image) in (30, 31)
    assert tool("info", tmp_path / "part.mcap")[1].count(WEIGHTS) == 1
    code, _, err = tool("cut", recorded, tmp_path / "none.mcap", "--start", 10**9)
    assert code == 2 and "nothing is between" in err and not (tmp_path / "none.mcap").exists()
    assert "is there already" in tool("cut", recorded, tmp_path / "part.mcap")[2]


def test_hands_come_out_as_they_were(recorded, tmp_path, tool):
    assert tool("export", recorded, tmp_path / "hands.jsonl")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "hands.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(0, FRAMES, 3))
    pair = frame_pair(3)
    hand = dual_hand(pair, rotation=R_RIGHT_FROM_LEFT)
    assert lines[1]["fused"]["joints"] == hand.joints.tolist()
    assert tool("export", recorded, tmp_path / "hands.npz")[0] == 0
    with np.load(tmp_path / "hands.npz") as arrays:
        np.testing.assert_array_equal(arrays["joints"][1], hand.joints)
        assert arrays["joints_right"].shape == (30, 21, 3) and arrays["pixels_left"].shape == (30, 21, 2)
        assert np.isnan(arrays["wrist_mm"]).all() and arrays["wrist_mm"].shape == (30, 3)
        np.testing.assert_array_equal(arrays["captured_ns"], [line["captured_ns"] for line in lines])
        assert set(arrays["side"]) == {"right"}


def test_the_video_shows_both_views_at_their_times(recorded, tmp_path, tool):
    assert tool("export", recorded, tmp_path / "both.mp4")[0] == 0
    video = cv2.VideoCapture(str(tmp_path / "both.mp4"))
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (128, 48)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(87, abs=3)
    assert "must end in" in tool("export", recorded, tmp_path / "both.avi")[2]


def test_a_recording_that_was_cut_off_is_made_whole(recorded, tmp_path, tool):
    broken, whole = tmp_path / "broken.mcap", tmp_path / "whole.mcap"
    # Beside one chunk there is nothing whole: cut in the index.
    data = recorded.read_bytes()
    broken.write_bytes(data[: len(data) - 200])
    code, out, err = tool("repair", broken, whole)
    assert code == 0, err
    assert "breaks off" in out
    with whole.open("rb") as file:
        summary = make_reader(file, validate_crcs=True).get_summary()
    assert summary and summary.statistics
    counts = {channel.topic: summary.statistics.channel_message_counts[number] for number, channel in summary.channels.items()}
    assert counts["/left/image"] == counts["/right/frame"] == FRAMES and counts[HAND_TOPIC] == 30
    assert "broken" not in tool("info", whole)[1]


@pytest.mark.parametrize("command", [("info",), ("cut", "out.mcap"), ("repair", "out.mcap"), ("export", "out.npz")])
def test_what_is_no_recording_is_named_in_a_sentence(tmp_path, command, tool):
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    code, out, err = tool(command[0], tmp_path / "bad.mcap", *(tmp_path / name for name in command[1:]))
    assert (code, out) == (2, "")
    assert "no recording" in err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mcap"]


def test_what_learns_from_clips_learns_from_recordings(recorded):
    settings = RecordingSettings(session=recorded)
    assert settings.clips.map(frame_size).left == (64, 48)
    seen = [(pair.left.seq, read_number(pair.left.image), read_number(pair.right.image)) for pair in settings.read("reading")]
    # The right camera counts from 100, its pictures from 0.
    assert seen == [(number, number, number) for number in range(FRAMES)]
    with pytest.raises(UserError, match="--session"):
        RecordingSettings(left=recorded).clips  # noqa: B018


def test_the_command_line_ends_with_2_and_the_sentence_alone(tmp_path):
    command = [sys.executable, "-m", "tools.session", "info", str(tmp_path / "gone.mcap")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tools.session: cannot read the recording") and done.stderr.count("\n") == 1
