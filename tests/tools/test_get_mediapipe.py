"""The command fetches what is missing, and says what it did; how: `tests/runtime/networks/test_mediapipe_fetch.py`."""

import pytest

from hand.errors import UserError
from runtime.estimators.litert import Model
from runtime.networks.mediapipe_files import folder
from tools.get_mediapipe import Settings, fetch


def test_a_wheel_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="elsewhere.whl"):
        fetch(Settings(wheel=tmp_path / "elsewhere.whl"))


@pytest.mark.usefixtures("mediapipe_models")
def test_models_that_are_there_are_left_as_they_are(capsys):
    before = {file.name: file.stat().st_mtime_ns for file in folder().iterdir()}
    assert fetch(Settings()) == folder()
    assert "are there already" in capsys.readouterr().out
    assert {file.name: file.stat().st_mtime_ns for file in folder().iterdir()} == before


def test_a_file_that_is_no_model_is_told(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    (tmp_path / "x.tflite").write_bytes(b"no model")
    with pytest.raises(UserError, match="x.tflite is no model"):
        Model(tmp_path / "x.tflite")
