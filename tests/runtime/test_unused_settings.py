"""A setting that has no effect is said to have none; the usual ones, and those that have an effect, are not spoken of."""

from pathlib import Path

import pytest

from runtime.settings import Settings
from runtime.settings_file import read_file
from runtime.unused_settings import unused_settings
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fov_deg": (60.0, 60.0), "calibration": (Path("a.yml"),)}, "--fov has no effect with --calibration"),
        ({"engine": "onnx", "estimator": "mediapipe"}, "--engine has no effect with an estimator"),
        ({"merge_rule": "max", "merge": "geometry"}, "--merge-rule has no effect with --merge geometry"),
        ({"record_format": "jpeg"}, "--record-format has no effect without --record"),
        ({"adapt_labels": "geometry"}, "--adapt-labels has no effect without --adapt"),
        ({"sequence_fps": 60.0, "left": "a.mp4", "right": "b.mp4"}, "--sequence-fps has no effect without a sequence"),
        ({"profile": "desk"}, "--profile has no effect without --adapt"),
        ({"exposure": 100.0, "left": "a.mp4", "right": "b.mp4"}, "--exposure has no effect without a camera"),
        ({"camera_fps": 60.0, "left": "tcp://127.0.0.1:5601", "right": "synthetic"}, "--camera-fps has no effect without"),
    ],
)
def test_a_setting_without_effect_is_named(given: dict, sentence: str) -> None:
    (said,) = unused_settings(Settings(**given))
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"fov_deg": (60.0, 60.0)},
        {"calibration": (Path("a.yml"),)},
        {"engine": "onnx"},
        {"engine": "onnx", "weights": Path("a.safetensors"), "estimator": "mediapipe-3d"},
        # Refused.
        {"weights": Path("a.pth"), "estimator": "mediapipe"},
        {"merge_rule": "max"},
        {"sequence_fps": 60.0, "left": "a/%05d.png", "right": "b.mp4"},
        {"record_format": "jpeg", "record": Path("a.mcap")},
        {"profile": "desk", "adapt": "frozen"},
        {"camera_fps": 60.0, "left": "0", "right": "b.mp4"},
        {"exposure": 5.0, "left": "a.mp4", "right": "/dev/video2"},
    ],
)
def test_a_setting_with_an_effect_is_not(given: dict) -> None:
    assert unused_settings(Settings(**given)) == []


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.toml")), ids=lambda file: file.name)
def test_no_shipped_file_sets_what_has_no_effect(file: Path) -> None:
    assert unused_settings(read_file(file)) == []
