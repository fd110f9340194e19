"""Whether a display that is named answers: without one the person is told that there will be no window."""

import logging
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from runtime.view.display import has_display


def test_no_display_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert not has_display({})
    assert "DISPLAY and WAYLAND_DISPLAY are not set" in caplog.text


@pytest.mark.parametrize("environment", [{"DISPLAY": ":987"}, {"WAYLAND_DISPLAY": "wayland-987", "XDG_RUNTIME_DIR": "/nowhere"}])
def test_a_display_that_does_not_answer_is_named(environment: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not has_display(environment)
    (name,) = set(environment) - {"XDG_RUNTIME_DIR"}
    assert f"does not answer ({name} {environment[name]})" in caplog.text and "without a window" in caplog.text


def test_a_wayland_socket_that_listens_is_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket's path may have 107 bytes, which pytest's folders come near to.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("wayland-1")
        server.listen()
        assert has_display({"WAYLAND_DISPLAY": "wayland-1", "XDG_RUNTIME_DIR": "."})


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_an_x_server_that_runs_is_a_display(tmp_path: Path) -> None:
    number = tmp_path / "number"
    with number.open("wb") as file, subprocess.Popen(["Xvfb", "-displayfd", "1"], stdout=subprocess.PIPE, stderr=file) as server:
        try:
            assert server.stdout
            name = f":{int(server.stdout.readline())}"
            assert has_display({"DISPLAY": name})
        finally:
            server.terminate()
    assert not has_display({"DISPLAY": name})
