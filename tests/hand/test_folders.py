"""The user's folders follow the XDG base directory specification on Linux."""

import socket
import sys
import tempfile
from pathlib import Path

import pytest

from hand.folders import cache_folder, data_folder, use_short_temporary_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have folders of their own")


def test_xdg_variables_set_the_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert cache_folder("engines") == tmp_path / "cache" / "duohand" / "engines"
    assert data_folder("cameras") == tmp_path / "data" / "duohand" / "cameras"


@pytest.mark.parametrize("unusable", ["", "relative/path"])
def test_an_unusable_path_is_ignored(unusable, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", unusable)
    monkeypatch.setenv("XDG_DATA_HOME", unusable)
    assert cache_folder("engines") == tmp_path / ".cache" / "duohand" / "engines"
    assert data_folder("cameras") == tmp_path / ".local" / "share" / "duohand" / "cameras"


@pytest.mark.parametrize("name", ["t", "x" * 120])
def test_sockets_can_be_bound_in_a_temporary_folder_of_any_depth(name, tmp_path, monkeypatch):
    folder = Path(tempfile.mkdtemp(dir="/tmp")) / name
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    use_short_temporary_folder()
    assert (Path(tempfile.gettempdir()) == folder) is (name == "t")
    with tempfile.TemporaryDirectory(prefix="pymp-") as made, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{made}/listener-12345678")
    folder.rmdir()
    folder.parent.rmdir()
