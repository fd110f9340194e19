"""Fixtures that several packages' tests share."""

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runtime.networks.network import HandNetwork
    from runtime.networks.weights import Manifest

# Tests that fetch say so: none is to depend on whether a package index can be reached.
os.environ["DUOHAND_NO_FETCH"] = "1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Programs that a test runs in this process configure the log; the next test finds it as it was."""
    root = logging.getLogger()
    levels = {name: logger.level for name, logger in root.manager.loggerDict.items() if isinstance(logger, logging.Logger)}
    yield
    for handler in [handler for handler in root.handlers if type(handler).__module__ == "hand.logs"]:
        root.removeHandler(handler)
    for name, logger in root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs the application in this process; gives its exit code, output and errors."""
    import torch

    from stream import main

    monkeypatch.delenv("DISPLAY", raising=False)
    before, threads = [signal.getsignal(number) for number in _SIGNALS], torch.get_num_threads()
    handlers = list(logging.getLogger().handlers)

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    yield run
    torch.set_num_threads(threads)
    for number, handler in zip(_SIGNALS, before, strict=True):
        signal.signal(number, handler)
    logging.getLogger().handlers[:] = handlers


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned nothing, for tests of what the application does, not of how well it sees."""
    import torch

    from runtime.networks.weights import Manifest, build_network, save_network

    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    torch.manual_seed(0)
    manifest = Manifest(architecture="detnet", root=0, crop_size=64, map_size=16, axes="crop", training_data="none")
    save_network(path, build_network(manifest), manifest)
    return path


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A DISPLAY for windows: an X server without a screen, for this session alone."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed: sudo apt-get install -y xvfb")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x720x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        # The server writes its number once it accepts windows.
        with os.fdopen(read) as numbers:
            number = numbers.readline().strip()
        if not number:
            pytest.skip("Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def shipped() -> "tuple[HandNetwork, Manifest]":
    """The network that ships, anew for each file of tests."""
    from runtime.networks.weights import DEFAULT_WEIGHTS, load_network

    if not DEFAULT_WEIGHTS.is_file():
        pytest.skip("the weights that ship are not there yet: python -m tools.train makes them")
    return load_network(DEFAULT_WEIGHTS)


@pytest.fixture(scope="session")
def headset_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in AssemblyHands' layout, drawn once: both hands before the first headset's four cameras."""
    import torch

    from tools.make.headset_set import Settings, make

    folder = tmp_path_factory.mktemp("headset_set")
    with torch.no_grad():
        make(Settings(folder, frames=16, width=318, headsets=(0,), hand="our", backgrounds=None))
    return folder


@pytest.fixture(scope="session")
def mediapipe_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MediaPipe's models where `mediapipe_files` looks for them: those of this machine, else fetched for this session."""
    from hand.errors import UserError
    from runtime.networks.mediapipe_files import models_installed
    from tools.get_mediapipe import Settings, fetch

    with pytest.MonkeyPatch.context() as patch:
        if not models_installed():
            patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
            try:
                fetch(Settings())
            except UserError as error:
                pytest.skip(f"MediaPipe's models cannot be fetched: {error}")
        yield
