"""Recording and replay in real processes, a kill included: replays give identical hands."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
import zmq

from capture.recording.reader import Note, Recording, WireMessage
from capture.recording.replay import PAIR_TOPIC
from capture.recording.writer import RecordedFrame
from capture.transport.latest_publisher import subscribe_latest
from capture.views import PerView
from runtime.networks.weights import Manifest, build_network, save_network
from runtime.outputs.hand_publisher import decode_hand
from runtime.outputs.run_recorder import HAND_TOPIC
from tests.capture.clips import write_clip
from tests.test_stream import ROI, clips, finish, start

PAIRS = 12
NEVER_THE_SAME = ("received_ns", "paired_ns", "started_ns", "cropped_ns", "inferred_ns", "merged_ns")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A network that has learned nothing, on crops so small that it is quick."""
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    torch.manual_seed(0)
    manifest = Manifest(architecture="detnet", root=0, crop_size=32, map_size=8, axes="crop", training_data="none")
    save_network(path, build_network(manifest), manifest)
    return path


def lines(path) -> list[dict]:
    """Saved hands without what differs from run to run."""
    saved = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in NEVER_THE_SAME} for line in saved]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, weights):
    """A recorded run of two clips; its folder also has the hands and the figures that it wrote."""
    folder = tmp_path_factory.mktemp("recorded")
    options = ["--record", folder / "s.mcap", "--save", folder / "hands.jsonl", "--stats", folder / "stats.json"]
    code, out, err = finish(start(*clips(folder, PAIRS), "--every-pair", "--headless", "--weights", weights, *ROI, *options))
    assert code == 0, err
    assert f"{PAIRS} at" in out
    return folder


def test_recording_contains_all_frames_and_hands(recorded):
    with Recording(recorded / "s.mcap") as recording:
        items = list(recording.items())
        assert recording.broken is None
    messages = [item for item in items if isinstance(item, WireMessage) and isinstance(item.header, RecordedFrame)]
    assert PerView(*(sum(each.view == view for each in messages) for view in ("left", "right"))) == PerView(PAIRS, PAIRS)
    found = [item for item in items if isinstance(item, Note) and item.topic == HAND_TOPIC]
    assert len(found) == len(lines(recorded / "hands.jsonl")) > 0


def test_log_file_is_next_to_the_recording(recorded):
    lines = (recorded / "s.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ +\w[\w.]*: ", line) for line in lines)
    assert any("Ctrl-C ends" in line for line in lines)


def test_stats_have_every_stage(recorded):
    stats = json.loads((recorded / "stats.json").read_text())
    assert (stats["pairs"], stats["live"], stats["drops"]) == (PAIRS, False, {})
    hands = len(lines(recorded / "hands.jsonl"))
    assert {name: step["count"] for name, step in stats["steps"].items()} == {
        "started_cropped": hands,
        "cropped_inferred": hands,
        "inferred_merged": hands,
    }
    assert sum(each["pairs"] for each in stats["skew"]["bins"]) == PAIRS


def test_replay_gives_identical_hands(recorded, tmp_path):
    hands = tmp_path / "again.jsonl"
    code, out, err = finish(start("--replay", recorded / "s.mcap", "--every-pair", "--headless", "--save", hands))
    assert code == 0, err
    assert f"{PAIRS} at" in out
    assert f"{PAIRS} of {PAIRS} pairs gave the recorded hands, bit for bit" in err
    assert lines(hands) == lines(recorded / "hands.jsonl")


def test_replay_with_other_settings_is_reported(recorded, here):
    code, _, err = here("--replay", recorded / "s.mcap", "--headless", "--roi-left", 30, 20, 30)
    assert code == 0, err
    assert "not as recorded: roi_left; hands will differ" in err


def test_recorded_cameras_can_be_paired_again(recorded, weights, tmp_path):
    sources = ["--left", f"{recorded}/s.mcap#left", "--right", f"{recorded}/s.mcap#right"]
    hands = tmp_path / "anew.jsonl"
    code, out, err = finish(start(*sources, "--every-pair", "--headless", "--weights", weights, *ROI, "--save", hands))
    assert code == 0, err
    assert f"{PAIRS} at" in out
    again, before = lines(hands), lines(recorded / "hands.jsonl")
    # All but the times, which begin where this run did.
    assert [line["fused"] for line in again] == [line["fused"] for line in before]


def test_a_killed_recording_loses_at_most_the_last_second(tmp_path, weights, here):
    left, right = write_clip(tmp_path / "left.mp4", 900), write_clip(tmp_path / "right.mp4", 900, negative=True)
    path = tmp_path / "s.mcap"
    process = start("--left", left, "--right", right, "--headless", "--weights", weights, *ROI, "--record", path)
    assert process.stderr
    assert any("Ctrl-C ends" in line for line in process.stderr)
    deadline, taken = time.monotonic() + 60, 0
    while taken < 5 and time.monotonic() < deadline:
        with Recording(path) as recording:
            taken = sum(isinstance(item, Note) and item.topic == PAIR_TOPIC for item in recording.items())
        time.sleep(0.2)
    killed_ns = time.monotonic_ns()
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    with Recording(path) as recording:
        messages = list(recording.wire_messages())
        assert recording.broken and "breaks off" in recording.broken
    assert killed_ns - messages[-1].header.received_ns < 1_000_000_000
    code, _, err = here("--replay", path, "--every-pair", "--headless")
    assert code == 0, err
    options = re.search(r"(\d+) of (\d+) pairs gave the recorded hands, bit for bit", err)
    assert options, err
    given, of = options.groups()
    assert given == of and int(of) >= taken and "breaks off after" in err


def test_a_recording_is_not_written_over_and_a_failed_start_leaves_none(recorded, weights, tmp_path, here):
    before = (recorded / "s.mcap").read_bytes()
    code, _, err = here(*clips(tmp_path, 2), "--weights", weights, *ROI, "--record", recorded / "s.mcap")
    assert code == 2 and "is there already" in err
    assert (recorded / "s.mcap").read_bytes() == before
    (tmp_path / "other.log").write_text("kept")
    code, _, err = here(*clips(tmp_path, 2), "--weights", weights, *ROI, "--record", tmp_path / "other.mcap")
    assert code == 2 and "the log" in err and "is there already" in err
    assert (tmp_path / "other.log").read_text() == "kept" and not (tmp_path / "other.mcap").exists()
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    bad = ["--left", tmp_path / "bad.mp4", "--right", tmp_path / "bad.mp4"]
    assert here(*bad, "--weights", weights, *ROI, "--record", tmp_path / "s.mcap")[0] == 2
    assert not (tmp_path / "s.mcap").exists() and not (tmp_path / "s.log").exists()


def test_unreplayable_recordings_exit_with_2_and_an_error(recorded, tmp_path, here):
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(50))
    for arguments, says in (
        (["--replay", tmp_path / "bad.mcap"], "no recording"),
        (["--replay", tmp_path / "gone.mcap"], "cannot read the recording"),
        (["--left", tmp_path / "bad.mcap", "--right", "0"], "#left"),
        (["--replay", recorded / "s.mcap", "--left", "0"], "not both"),
        (["--replay", recorded / "s.mcap", "--record", tmp_path / "s.mcap"], "is a recording already"),
        (["--left", "synthetic", "--right", "synthetic", "--publish", "tcp://0.0.0.0:5570"], "python -m tools.keys"),
    ):
        code, out, err = here(*arguments)
        assert (code, out) == (2, "") and says in err.splitlines()[-1], err


def test_published_hands_reach_another_process(tmp_path, weights):
    endpoint = f"ipc://{tmp_path}/hands"
    process = start(*clips(tmp_path, 600), "--headless", "--weights", weights, *ROI, "--publish", endpoint)
    context = zmq.Context()
    socket = subscribe_latest(context, endpoint)
    numbers = []
    deadline = time.monotonic() + 100
    while len(numbers) < 5 and time.monotonic() < deadline:
        if socket.poll(100):
            numbers.append(decode_hand(socket.recv()).number)
    context.destroy(linger=0)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 0, err
    assert len(numbers) == 5 and numbers == sorted(set(numbers))
