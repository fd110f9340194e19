"""The application in real processes with real files, and every way to end it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.capture.clips import cut, write_clip
from tests.paths import ROOT

ROI = ["--roi-left", "32", "24", "40", "--roi-right", "32", "24", "40"]


def start(*arguments: object, display: str | None = None) -> subprocess.Popen[str]:
    """Start stream.py in a process group of its own, as a terminal does."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if display:
        environment["DISPLAY"] = display
    return subprocess.Popen(
        [sys.executable, "stream.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors, once it has ended with nothing left of its group."""
    out, err = process.communicate(timeout=120)
    # Python's own resource tracker goes a moment after the program that it serves.
    assert not psutil.wait_procs(group(process.pid), timeout=10)[1]
    assert "Traceback" not in err
    return process.returncode, out, err


def group(leader: int) -> list[psutil.Process]:
    """The processes of a process group."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == leader:
                members.append(process)
    return members


def clips(folder: Path, frames: int) -> list[object]:
    left, right = write_clip(folder / "left.mp4", frames), write_clip(folder / "right.mp4", frames, negative=True)
    return ["--left", left, "--right", right]


def test_every_pair_of_two_files_is_processed_and_summarized(tmp_path, weights):
    hands = tmp_path / "hands.jsonl"
    process = start(*clips(tmp_path, 12), "--every-pair", "--weights", weights, *ROI, "--save", hands)
    code, out, err = finish(process)
    assert code == 0, err
    assert "12 at" in out
    assert "nothing" in next(line for line in out.splitlines() if line.startswith("dropped"))
    assert "no display" in err
    saved = [json.loads(line)["index"] for line in hands.read_text().splitlines()]
    assert saved and saved == sorted(set(saved) & set(range(12)))


def test_a_clip_in_both_views_is_said_and_exits_with_1(tmp_path, weights):
    clip, stats = write_clip(tmp_path / "clip.mp4", 12), tmp_path / "stats.json"
    code, out, err = finish(
        start("--left", clip, "--right", clip, "--every-pair", "--headless", "--weights", weights, *ROI, "--stats", stats)
    )
    assert code == 1
    assert err.count("are one recording") == out.count("are one recording") == 1
    figures = json.loads(stats.read_text())
    assert [finding["kind"] for finding in figures["findings"]] == ["same_camera"]
    assert (figures["calibration"]["known_after_s"], figures["calibration"]["hands_with_place"]) == (None, 0)
    assert "calibrated no: " in out


def test_a_clip_is_shown_in_a_window_and_its_end_closes_it(tmp_path, weights, display):
    picture = tmp_path / "made" / "last.png"
    process = start(*clips(tmp_path, 12), "--weights", weights, *ROI, "--picture", picture, display=display)
    code, out, err = finish(process)
    assert code == 0, err
    assert "pairs/s" in out
    assert "no display" not in err
    assert picture.stat().st_size > 0


def test_ctrl_c_prints_the_summary_and_leaves_no_process(tmp_path, weights):
    process = start(*clips(tmp_path, 900), "--headless", "--weights", weights, *ROI)
    assert process.stderr
    assert any("Ctrl-C ends" in line for line in process.stderr)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.killpg(process.pid, signal.SIGINT)
    code, out, _ = finish(process)
    assert code == 0
    assert "pairs/s" in out
    assert not any(child.is_running() for child in children)


def test_a_failed_camera_exits_with_1_and_an_error(tmp_path, weights):
    process = start(*clips(tmp_path, 900), "--headless", "--weights", weights, *ROI)
    assert process.stderr
    assert any("Ctrl-C ends" in line for line in process.stderr)
    # The cameras are forked by a server that the program has started.
    (server,) = (child for child in psutil.Process(process.pid).children() if "forkserver" in " ".join(child.cmdline()))
    server.children()[0].kill()
    code, out, err = finish(process)
    assert code == 1
    assert "pairs/s" in out
    assert "camera" in err


def test_a_clip_that_was_cut_off_exits_with_1_and_says_so_on_the_log_and_among_the_figures(tmp_path, weights):
    left, right = write_clip(tmp_path / "left.avi", 60), cut(write_clip(tmp_path / "right.avi", 60), 0.5)
    stats = tmp_path / "stats.json"
    options = ("--every-pair", "--headless", "--weights", weights, *ROI, "--stats", stats)
    code, out, err = finish(start("--left", left, "--right", right, *options))
    assert code == 1
    (finding,) = json.loads(stats.read_text())["findings"]
    assert (finding["kind"], finding["level"]) == ("camera_failed", "error")
    assert f"right camera: source '{right}' ends at " in finding["text"] and "of 2.0 s" in finding["text"]
    assert err.count(finding["text"]) == 1 and finding["text"] in out


def test_the_time_limit_ends_the_run(tmp_path, weights):
    code, out, _ = finish(start(*clips(tmp_path, 900), "--headless", "--weights", weights, *ROI, "--seconds", "0.2"))
    assert code == 0
    assert "pairs/s" in out


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ("--left",)),
        (["--left", "gone.mp4", "--right", "gone.mp4"], ("gone.mp4", "no such file")),
        (["--left", "http://a:1", "--right", "0"], ("http://a:1",)),
        (["--config", "gone.toml"], ("gone.toml",)),
        (["--left", "synthetic", "--right", "synthetic", "--engine", "tensorrt"], ("tensorrt", "NVIDIA GPU")),
        (["--left", "synthetic", "--right", "synthetic", "--weights", "gone.safetensors"], ("gone.",)),
    ],
)
def test_invalid_input_exits_with_2_and_a_one_line_error(arguments, names):
    code, out, err = finish(start(*arguments))
    assert (code, out) == (2, "")
    (sentence,) = err.splitlines()
    for name in names:
        assert name in sentence


def test_damaged_weights_are_named(tmp_path, weights):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:-100])
    broken.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
    code, _, err = finish(start(*clips(tmp_path, 2), "--weights", broken, *ROI))
    assert code == 2
    assert str(broken) in err


def test_an_invalid_video_file_is_named(tmp_path, weights):
    left, right = write_clip(tmp_path / "left.mp4", 2), tmp_path / "right.mp4"
    right.write_bytes(b"not a video")
    code, _, err = finish(start("--left", left, "--right", right, "--weights", weights, *ROI, "--headless"))
    assert code == 2
    assert "right camera" in err and str(right) in err


def test_what_was_asked_for_and_is_not_had_stands_at_the_end_and_in_the_exit_code(tmp_path, weights):
    stats = tmp_path / "stats.json"
    options = ["--adapt", "frozen", "--profile", f"none-{os.getpid()}", "--record-format", "jpeg", "--stats", stats]
    process = start(*clips(tmp_path, 12), "--every-pair", "--headless", "--weights", weights, *ROI, *options)
    code, out, err = finish(process)
    assert code == 1
    assert err.count("no adapted weights") == 1 and "--record-format has no effect without --record" in err
    assert "no adapted weights" in next(line for line in out.splitlines() if line.startswith("findings"))
    (finding,) = json.loads(stats.read_text())["findings"]
    assert (finding["kind"], finding["level"], finding["view"]) == ("no_adapted_weights", "error", None)


def test_a_run_without_a_pair_says_why_and_ends_with_1(tmp_path, weights):
    clip = write_clip(tmp_path / "right.mp4", 5)
    sources = ("--left", f"ipc://{tmp_path}/nobody", "--right", clip)
    code, out, err = finish(start(*sources, *ROI, "--weights", weights, "--engine", "torch", "--headless"))
    assert code == 1
    assert "error: no pair of frames came: the left view has sent none; check that it runs" in err and "no pair" in out


def test_figures_of_adaptation_are_kept_until_the_end(tmp_path, here):
    stats = tmp_path / "stats.json"
    options = ["--every-pair", "--headless", *ROI, "--estimator", "detnet", "--adapt", "on", "--stats", stats]
    code, _, err = here(*clips(tmp_path, 12), *options)
    assert code == 0, err
    # Counts of what never happened have no entry.
    assert {"note", "not_sent", "decisions"} <= json.loads(stats.read_text())["sections"]["adaptation"].keys()
