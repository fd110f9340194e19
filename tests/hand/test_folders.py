"""The user's folders follow the XDG base directory specification on Linux."""

import sys

import pytest

from hand.folders import cache_folder, data_folder

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
