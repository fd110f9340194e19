"""The application's outputs in real runs: none costs a file, and none that fails ends the run or is left in pieces."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest
import torch
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import ThreadingOSCUDPServer

from runtime.networks.weights import Manifest, build_network, save_network
from tests.capture.clips import write_clip
from tests.paths import ROOT
from tests.test_stream import ROI, finish, start

LIMITED = """
import resource, sys, stream
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
sys.exit(stream.main(sys.argv[2:]))
"""
PAIRS = 12


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Two clips, and a network that has learned nothing, on crops so small that it is quick."""
    folder = tmp_path_factory.mktemp("given")
    torch.manual_seed(0)
    manifest = Manifest(architecture="detnet", root=0, crop_size=32, map_size=8, axes="crop", training_data="none")
    save_network(folder / "w.safetensors", build_network(manifest), manifest)
    clips = ["--left", write_clip(folder / "left.mp4", PAIRS), "--right", write_clip(folder / "right.mp4", PAIRS)]
    return [*clips, "--weights", folder / "w.safetensors", *ROI, "--headless", "--every-pair"]


def with_room_for(count: int, *arguments: object) -> tuple[int, str, str]:
    """Run the application where no file may be larger than so many bytes, as on a full disk: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(count), *map(str, arguments)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_recording_is_not_written_over_by_what_is_made_of_it(tmp_path, given, here):
    clip = Path(str(given[1]))
    before = clip.read_bytes()
    for option in ("--video", "--save"):
        code, out, err = here(*given, option, clip, "--overwrite")
        assert (code, out) == (2, "")
        (sentence,) = err.splitlines()
        assert option in sentence and "--left" in sentence and str(clip) in sentence
    code, _, err = here(*given, "--save", tmp_path / "x", "--stats", tmp_path / "x")
    assert code == 2 and "--save" in err and "--stats" in err
    assert clip.read_bytes() == before and not list(tmp_path.iterdir())


def test_outputs_replace_others_only_if_asked_and_only_once_they_are_whole(tmp_path, given, here):
    names = {"--save": "h.jsonl", "--video": "v.mp4", "--picture": "p.png", "--stats": "s.json", "--record": "r.mcap"}
    outputs = [part for option, name in names.items() for part in (option, tmp_path / name)]
    for name in [*names.values(), "r.log"]:
        (tmp_path / name).write_text("an earlier run's")
    code, _, err = here(*given, *outputs)
    assert code == 2 and "--save" in err and "is there already" in err and "--overwrite" in err
    assert here(*given, "--weights", ROOT / "README.md", *outputs, "--overwrite")[0] == 2
    assert all((tmp_path / name).read_text() == "an earlier run's" for name in [*names.values(), "r.log"])
    code, out, err = finish(start(*given, *outputs, "--overwrite"))
    assert code == 0 and f"{PAIRS} at" in out, err
    assert all((tmp_path / name).stat().st_size > 100 for name in [*names.values(), "r.log"])
    assert {file.name for file in tmp_path.iterdir()} == {*names.values(), "r.log"}


def test_a_full_disk_ends_the_file_with_a_whole_line_and_the_run_with_1(tmp_path, given):
    hands, stats = tmp_path / "h.jsonl", tmp_path / "s.json"
    code, out, err = with_room_for(9_000, *given, "--save", hands, "--stats", stats)
    assert code == 1
    assert f"{PAIRS} at" in out
    sentences = [line for line in err.splitlines() if "error:" in line]
    assert len(sentences) == 1 and "--save" in sentences[0] and "File too large" in sentences[0], err
    content = hands.read_text()
    lines = content.splitlines()
    assert content.endswith("\n") and 0 < len([json.loads(line) for line in lines]) < PAIRS
    assert f"after {len(lines)} hands" in sentences[0] and "--save" in next(
        line for line in out.splitlines() if "findings" in line
    )
    assert [finding["kind"] for finding in json.loads(stats.read_text())["findings"]] == ["save_failed"]


def test_every_output_may_fail_at_once(tmp_path, given):
    options = ["--video", tmp_path / "v.mp4", "--picture", tmp_path / "p.png", "--stats", tmp_path / "s.json"]
    code, out, err = with_room_for(600, *given, "--save", "/dev/full", "--record", tmp_path / "r.mcap", *options)
    assert code == 1 and f"{PAIRS} at" in out
    for name in ("save", "video", "picture", "stats", "record"):
        assert sum(f"error: --{name} " in line for line in err.splitlines()) == 1, err
        assert f"--{name} " in out
    assert "No space left on device" in err and "File too large" in err
    assert not any(file.suffix in (".mp4", ".png", ".json", ".part") for file in tmp_path.iterdir())


def test_a_video_that_no_longer_fits_plays_as_far_as_it_goes(tmp_path, given):
    video = tmp_path / "v.mp4"
    code, _, err = with_room_for(540_000, *given, "--video", video)
    assert code == 1 and "--video" in err and "breaks off after" in err, err
    opened = cv2.VideoCapture(str(video))
    frames = 0
    while opened.read()[0]:
        frames += 1
    assert frames > 0 and f"after {frames} frames" in err


def test_ctrl_c_keeps_what_was_written(tmp_path, given):
    hands, video = tmp_path / "h.jsonl", tmp_path / "v.mp4"
    hands.write_text("an earlier run's")
    longer = ["--left", write_clip(tmp_path / "left.mp4", 900), "--right", write_clip(tmp_path / "right.mp4", 900)]
    process = start(*given, *longer, "--save", hands, "--video", video, "--overwrite")
    assert process.stderr
    assert any("Ctrl-C ends" in line for line in process.stderr)
    (part,) = tmp_path.glob(".h-*")
    while process.poll() is None and part.stat().st_size == 0:
        pass
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 0, err
    assert [json.loads(line) for line in hands.read_text().splitlines()]
    assert {file.name for file in tmp_path.iterdir()} == {"h.jsonl", "v.mp4", "left.mp4", "right.mp4"}


def test_hands_reach_programs_that_this_project_knows_nothing_of(given, here):
    received: queue.Queue[str] = queue.Queue()
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(lambda address, *values: received.put(address))
    with ThreadingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server, socket.socket() as probe:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        probe.bind(("127.0.0.1", 0))
        taken, url = probe.getsockname()[1], f"osc://127.0.0.1:{server.server_address[1]}"
        probe.listen()
        code, out, err = here(*given, "--output", url, f"ws://127.0.0.1:{taken}")
        assert (code, out) == (2, "") and f"ws://127.0.0.1:{taken} cannot be listened at" in err.splitlines()[-1]
        code, out, err = here(*given, "--output", "ws://0.0.0.0:8765")
        assert (code, out) == (2, "") and "token" in err and err.count("\n") == 1
        code, _, err = finish(start(*given, "--output", url))
        server.shutdown()
    assert code == 0, err
    addresses = {received.get_nowait() for _ in range(received.qsize())}
    assert addresses & {"/duohand/left/index_tip", "/duohand/right/index_tip"}
