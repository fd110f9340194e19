"""A run writes over none of its inputs, whatever names them, and over other files only if that is allowed."""

from pathlib import Path

import pytest

import runtime
from hand.errors import UserError
from runtime.command_line import CommandLine, read_settings
from runtime.run_files import check_files
from tests.capture.recordings import write_recording
from tests.paths import ROOT

CONFIG = "calibration = ['both.yml']\nweights = 'w.safetensors'\nkeys = 'keys'\nleft = 'l.mp4'\nright = 's.mcap#right'\n"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which is the current one, with an input of each kind."""
    for name in ("l.mp4", "both.yml", "w.safetensors", "w.json", "keys/own.key", "keys/peers/other.key"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("precious")
    write_recording(tmp_path / "s.mcap")
    (tmp_path / "run.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> None:
    check_files(read_settings(arguments), arguments)


@pytest.mark.parametrize(
    ("file", "option"),
    [
        ("l.mp4", "--left"),
        ("s.mcap", "--right"),
        ("both.yml", "--calibration"),
        ("w.safetensors", "--weights"),
        ("w.json", "--weights"),
        ("keys/own.key", "--keys"),
        ("keys/new.key", "--keys"),
        ("keys/peers/new.key", "--keys"),
        ("run.toml", "--config"),
        (str(Path(runtime.__path__[0]) / "assets" / "probe.png"), "DuoHand itself"),
    ],
)
def test_every_input_is_kept(inputs, file, option):
    for output in ("--save", "--stats", "--record"):
        with pytest.raises(UserError) as raised:
            check("--config", "run.toml", output, file, "--overwrite")
        assert output in str(raised.value) and option in str(raised.value)


@pytest.mark.parametrize(
    ("left", "picture", "allowed"),
    [
        ("frames", "frames/last.png", False),
        ("frames", "link/last.PNG", False),
        ("frames", "frames/deeper/last.png", True),
        ("frames/%05d.png", "frames/00007.png", False),
        ("frames/%05d.png", "frames/last.png", True),
        ("frames/l_*.png", "frames/l_last.png", False),
        ("frames/l_*.png", "frames/last.png", True),
    ],
)
def test_no_output_becomes_a_picture_of_a_sequence(inputs, left, picture, allowed):
    (inputs / "frames").mkdir()
    (inputs / "link").symlink_to("frames")
    for name in ("00001.png", "l_1.png"):
        (inputs / "frames" / name).write_text("precious")
    outputs = ("--picture", picture, "--save", "frames/hands.jsonl")
    if allowed:
        check("--left", left, "--right", "l.mp4", *outputs)
    else:
        with pytest.raises(UserError, match=f"--picture {picture} .* --left reads"):
            check("--left", left, "--right", "l.mp4", *outputs)


def test_hands_are_not_published_where_a_camera_is_expected(inputs):
    with pytest.raises(UserError, match="--publish ipc://x is the address that --right reads"):
        check("--left", "l.mp4", "--right", "ipc://x", "--publish", "ipc://x")


def test_a_replayed_recording_is_kept(inputs):
    with pytest.raises(UserError, match=r"--save .*--replay"):
        check_files(CommandLine(replay=inputs / "s.mcap", save=inputs / "s.mcap", overwrite=True), ())


def test_the_log_of_a_recording_is_an_output(inputs):
    for other in ("--save", "--stats"):
        with pytest.raises(UserError, match=rf"{other} .*log of --record|log of --record.*{other}"):
            check("--config", "run.toml", "--record", "new.mcap", other, "new.log")
    (inputs / "new.log").touch()
    with pytest.raises(UserError, match="the log of --record new.log is there already"):
        check("--config", "run.toml", "--record", "new.mcap")


@pytest.mark.parametrize(
    ("option", "name"),
    [("--save", "h.jsonl"), ("--video", "v.mp4"), ("--picture", "p.png"), ("--record", "r.mcap"), ("--stats", "s.json")],
)
def test_what_is_there_is_replaced_only_if_that_is_asked_for(inputs, option, name):
    check("--config", "run.toml", option, name)
    (inputs / name).write_text("an earlier run's")
    with pytest.raises(UserError, match="--overwrite"):
        check("--config", "run.toml", option, name)
    check("--config", "run.toml", option, name, "--overwrite")


def test_a_settings_file_allows_to_replace_the_outputs_that_it_names_itself(inputs):
    (inputs / "out").mkdir()
    for name in ("demo.mp4", "demo.png", "hands.jsonl"):
        (inputs / "out" / name).touch()
    demo = ("--config", str(ROOT / "configs" / "demo.toml"))
    check(*demo)
    with pytest.raises(UserError, match=r"hands\.jsonl is there already"):
        check(*demo, "--save", "out/hands.jsonl")
    check(*demo, "--save", "out/hands.jsonl", "--overwrite")


def test_names_that_no_picture_or_video_has_are_refused(inputs):
    for option, name in (("--video", "v.avi"), ("--picture", "p.gif")):
        with pytest.raises(UserError, match=r"must end in \.(mp4|png)"):
            check("--config", "run.toml", option, name)
