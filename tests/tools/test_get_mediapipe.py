"""Models come out of the right wheel alone, whole or not at all."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from hand.errors import UserError
from runtime.estimators.litert import Model
from runtime.networks.mediapipe_files import PALMS, SHA256, folder, model_file
from tools.get_mediapipe import Settings, fetch, take_models


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder()


def wheel(at: Path) -> tuple[Path, str]:
    """A wheel with files of the models' names, and its hash."""
    file = at / "mediapipe.whl"
    with zipfile.ZipFile(file, "w") as content:
        for name in SHA256:
            content.writestr(f"mediapipe/modules/hand/{name}", name)
        content.writestr("mediapipe/modules/face/LICENSE", "of something else")
        content.writestr("mediapipe-1.dist-info/LICENSE", "Apache-2.0")
        content.writestr("mediapipe/__init__.py", "raise SystemExit")
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


def test_models_and_licence_are_taken_and_nothing_else(tmp_path, cache):
    take_models(*with_target(wheel(tmp_path), cache))
    assert {file.name for file in cache.iterdir()} == {*SHA256, "LICENSE"}
    assert (cache / "LICENSE").read_text() == "Apache-2.0"
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


def with_target(made: tuple[Path, str], to: Path) -> tuple[Path, Path, str]:
    return made[0], to, made[1]


def test_another_wheel_is_refused_and_what_is_there_stays(tmp_path, cache):
    file, sha256 = wheel(tmp_path)
    take_models(file, cache, sha256)
    before = {path.name: path.read_bytes() for path in cache.iterdir()}
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(UserError, match="SHA-256"):
        take_models(file, cache, sha256)
    with pytest.raises(UserError, match="SHA-256"):
        fetch(Settings(wheel=file))
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == before


def test_a_wheel_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="elsewhere.whl"):
        fetch(Settings(wheel=tmp_path / "elsewhere.whl"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path, cache):
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("in the way")
    file, sha256 = wheel(tmp_path)
    with pytest.raises(UserError, match=str(cache.parent)):
        take_models(file, cache, sha256)


def test_models_that_are_missing_or_others_are_told_with_the_command_to_fetch_them(tmp_path, cache):
    with pytest.raises(UserError, match="is not there.*python -m tools.get_mediapipe"):
        model_file(PALMS)
    take_models(*with_target(wheel(tmp_path), cache))
    with pytest.raises(UserError, match="is not the model.*python -m tools.get_mediapipe"):
        model_file(PALMS)


def test_a_file_that_is_no_model_is_told(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra [mediapipe] is not installed")
    (tmp_path / "x.tflite").write_bytes(b"no model")
    with pytest.raises(UserError, match="x.tflite is no model"):
        Model(tmp_path / "x.tflite")
