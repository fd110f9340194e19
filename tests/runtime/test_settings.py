"""Settings precedence: command line, file, defaults; invalid settings are named."""

import codecs
from pathlib import Path

import pytest

from capture.sources.base import DEFAULT_MODE, DeviceMode
from hand.errors import UserError
from runtime.command_line import read_settings
from runtime.settings import Settings
from runtime.settings_file import read_file
from tests.paths import ROOT

CONFIGS = ROOT / "configs"


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "some.toml"
        path.write_text(text)
        return path

    return write


def test_settings_precedence_is_command_line_then_file_then_default(toml):
    path = toml('left = "a.mp4"\nmerge_rule = "max"\nsmooth = false\nroi_left = [10, 20, 30]')
    settings = read_settings(["--config", str(path), "--left", "b.mp4", "--fov", "50", "70"])
    assert settings.left == "b.mp4"
    assert (settings.merge_rule, settings.smooth, settings.roi_left) == ("max", False, (10, 20, 30))
    assert (settings.fovs_deg.left, settings.fovs_deg.right) == (50, 70)
    assert settings.hand_size_mm == Settings().hand_size_mm


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_file_names_two_cameras(path):
    assert all(read_file(path).sources)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("lft = 'a'", ("lft", "left")),
        ("zzz = 1", ("zzz", "every_pair")),
        ("left = 3", ("left", "str", "int")),
        ("video = 3", ("video", "str", "int")),
        ("merge = 'sum'", ("merge", "sum", "auto, geometry, rotation")),
        ("roi_left = [1, 2]", ("roi_left", "3")),
        ("fov_deg = [60, 190]", ("fov_deg", "190", "180")),
        ("fov_deg = [1.05, 1.05]", ("fov_deg", "1.05 rad are 60 degrees")),
        ("hand_size_mm = 9", ("hand_size_mm is 9", "30 to 150", "mm")),
        ("hand_size_mm = 0.09", ("hand_size_mm is 0.09", "30 to 150")),
        ("hand_size_mm = inf", ("hand_size_mm is inf", "30 to 150")),
        ("hand_size_mm = nan", ("hand_size_mm is nan", "30 to 150")),
        ("offset = 'soon'", ("offset", "soon", "a number or auto")),
        ("offset = inf", ("offset is inf", "seconds, or auto")),
        ("rate = 0", ("rate is 0", "0.01 and 100, or auto")),
        ("replay = 'a.mcap'\noffset = 0.5", ("a.mcap", "leave out --offset")),
        ("seconds = -1", ("seconds", "-1", "above 0")),
        ("left", ("not TOML",)),
    ],
)
def test_invalid_settings_files_raise_a_one_line_error(toml, text, names):
    path = toml(text)
    with pytest.raises(UserError) as raised:
        read_file(path)
    sentence = str(raised.value)
    assert "\n" not in sentence
    for name in (str(path), *names):
        assert name in sentence


def test_inputs_of_a_settings_file_are_looked_for_beside_it_too(tmp_path, monkeypatch):
    beside, here, home = (tmp_path / name for name in ("beside", "here", "home"))
    for folder, names in ((beside, ("l.mp4", "both.mp4", "k.yml", "s.mcap")), (here, ("both.mp4",)), (home, ("r.mp4",))):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    file = beside / "some.toml"
    file.write_text(
        'left = "l.mp4"\nright = "~/r.mp4"\nweights = "both.mp4"\ncalibration = ["k.yml", "none.yml"]\nsave = "k.yml"'
    )
    settings = read_file(file)
    assert (settings.left, settings.right) == (str(beside / "l.mp4"), str(home / "r.mp4"))
    # What is in the working folder comes first, and what is nowhere keeps its name, for the message.
    assert settings.weights == Path("both.mp4")
    assert settings.calibration == (beside / "k.yml", Path("none.yml"))
    assert settings.save == Path("k.yml")
    file.write_text('left = "s.mcap#left"\nright = "tcp://127.0.0.1:5601"')
    assert tuple(read_file(file).sources) == (f"{beside / 's.mcap'}#left", "tcp://127.0.0.1:5601")


def test_camera_mode_comes_from_the_settings():
    assert Settings().camera_mode == DEFAULT_MODE
    settings = read_settings(["--camera-size", "1280", "720", "--camera-fps", "60", "--exposure", "150"])
    assert settings.camera_mode == DeviceMode(1280, 720, 60, 150)
    for wrong in (["--camera-size", "1280", "0"], ["--camera-fps", "0"], ["--exposure", "-1"]):
        with pytest.raises(UserError, match="above 0"):
            read_settings(wrong)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match="nowhere.toml"):
        read_settings(["--config", "nowhere.toml"])


def test_an_unknown_option_is_named_and_exits_with_2(capsys):
    with pytest.raises(SystemExit) as raised:
        read_settings(["--lft", "0"])
    assert raised.value.code == 2
    assert "--lft" in capsys.readouterr().err


def test_a_missing_camera_is_named():
    with pytest.raises(UserError, match="right view.*--right"):
        _ = Settings(left="0").sources


@pytest.mark.parametrize("name", ["mediapipe", "mediapipe-lite"])
def test_an_estimator_given_as_engine_is_accepted_with_a_warning(toml, caplog, name):
    for arguments in (["--engine", name], [f"--engine={name}"], ["--config", str(toml(f'engine = "{name}"'))]):
        caplog.clear()
        settings = read_settings(arguments)
        assert (settings.estimator, settings.engine) == (name, "auto")
        (record,) = caplog.records
        assert name in record.getMessage() and "estimator" in record.getMessage()


def test_engine_alone_is_heeded_whatever_estimator_a_file_names(toml, caplog):
    path = str(toml('estimator = "mediapipe"'))
    assert read_settings(["--config", path]).estimator == "mediapipe"
    assert read_settings(["--config", path, "--engine", "auto"]).estimator == "mediapipe"
    settings = read_settings(["--config", path, "--engine", "onnx"])
    assert (settings.estimator, settings.engine) == ("auto", "onnx")
    settings = read_settings(["--config", str(toml('estimator = "mediapipe-3d"')), "--engine", "onnx"])
    assert (settings.estimator, settings.engine) == ("mediapipe-3d", "onnx")
    settings = read_settings(["--estimator", "mediapipe", "--engine", "onnx"])
    assert (settings.estimator, settings.engine) == ("mediapipe", "onnx")
    assert read_settings(["--engine", "onnx"]).estimator == "auto"
    assert not caplog.records


def test_adaptation_requires_a_network_that_learns():
    with pytest.raises(UserError, match="only the networks of detnet and mediapipe-3d learn"):
        read_settings(["--estimator", "mediapipe", "--adapt"])
    assert read_settings(["--estimator", "mediapipe-3d", "--adapt", "on"]).adapt == "on"


def test_a_byte_order_mark_is_no_part_of_a_settings_file(toml):
    path = toml("")
    path.write_bytes(codecs.BOM_UTF8 + b'left = "a.mp4"\n')
    assert read_file(path).left == "a.mp4"
