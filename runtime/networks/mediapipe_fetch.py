"""How MediaPipe's hand models come into the user's cache: out of the wheel that pip downloads, whole or not at all.

The wheel mediapipe 0.10.21 (Apache-2.0; newer ones hold no models) is downloaded once, three models and the licence are copied
from it, and the rest is deleted. Nothing is installed.
"""

import fcntl
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from hand.errors import UserError
from hand.files import write_atomically
from runtime.networks.mediapipe_files import SHA256, VERSION, folder, models_installed

log = logging.getLogger(__name__)

WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
WHEEL_BYTES = 35_622_638
LICENCE = "LICENSE"
_PLATFORM = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")
"""The models are the same in every wheel; the same wheel for all machines has one hash."""
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download is waited for."""

    stalled_s: float
    """Without a further byte, before it counts as failed."""
    total_s: float = float("inf")
    """In all, also for another process that fetches."""
    retries: int = 0
    """How often pip asks again where a connection fails."""


OF_A_RUN = Patience(15.0, 300.0)
"""A run can do without, and its user waits for the picture."""
OF_A_COMMAND = Patience(60.0, retries=3)


def fetch_models(
    wheel: Path | None = None,
    *,
    again: bool = False,
    patience: Patience = OF_A_COMMAND,
    stop: Callable[[], bool] = lambda: False,
    wheel_sha256: str = WHEEL_SHA256,
) -> Path:
    """Put the models into the user's cache, unless they are there already; returns the folder. For several processes at once.

    `wheel`: a downloaded one in place of a download; `again`: also where they are there; `stop`: whether to give up.

    Raises UserError, with the cache as it was, where that fails.
    """
    to = folder()
    deadline_s = time.monotonic() + patience.total_s
    with _alone(to, deadline_s, stop):
        # Another process may have fetched them meanwhile.
        if not again and models_installed():
            return to
        with tempfile.TemporaryDirectory(prefix="duohand-") as scratch:
            take_models(wheel or _download(Path(scratch), patience, deadline_s, stop), to, wheel_sha256)
    return to


def take_models(wheel: Path, to: Path, wheel_sha256: str = WHEEL_SHA256) -> None:
    """Copy models and licence from `wheel` to the folder `to`, each whole or not at all. Raises UserError for another wheel."""
    try:
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the wheel {wheel}: {error.strerror}") from error
    if found != wheel_sha256:
        raise UserError(
            f"{wheel.name} has the SHA-256 {found}, expected {wheel_sha256}: it is not the wheel of mediapipe {VERSION} for "
            "Linux and Python 3.11, or it was damaged; fetch it again"
        )
    try:
        with zipfile.ZipFile(wheel) as content:
            for inside in content.namelist():
                name = PurePosixPath(inside).name
                if name in SHA256 or (name == LICENCE and ".dist-info/" in inside):
                    write_atomically(to / name, content.read(inside))
    except OSError as error:
        raise _unwritable(to.parent, error) from error


@contextmanager
def _alone(to: Path, deadline_s: float, stop: Callable[[], bool]) -> Iterator[None]:
    """While no other process fetches. Raises UserError where one goes on for too long, or the cache cannot be written."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(to.with_name(f".{to.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(to.parent, error) from error
    try:
        while not _locked(lock):
            if stop() or time.monotonic() > deadline_s:
                raise UserError("another process is fetching MediaPipe's models and has not ended: wait for it, and start again")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Not every network's file system locks. Files are written atomically, so that two processes do the same work at worst.
        log.debug(f"no lock: {error}")
    return True


def _download(to: Path, patience: Patience, deadline_s: float, stop: Callable[[], bool]) -> Path:
    """The wheel, downloaded by pip, which knows the user's index and proxy. Raises UserError where it fails or takes too long."""
    pip = [sys.executable, "-m", "pip", "download", f"mediapipe=={VERSION}", "--no-deps", "--only-binary=:all:"]
    options = ("--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--dest", str(to))
    network = ("--timeout", f"{patience.stalled_s:g}", "--retries", str(patience.retries))
    said = to / "said"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [*pip, *_PLATFORM, *options, *network],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            # What has arrived is seen by its files.
            env=os.environ | {"TMPDIR": str(to)},
        )
    try:
        _watch(process, to, patience, deadline_s, stop)
    finally:
        process.kill()
        process.wait()
    if stop():
        raise _interrupted()
    wheel = next(to.glob("*.whl"), None)
    if process.returncode or wheel is None:
        raise UserError(
            f"pip could not download mediapipe {VERSION} ({_reason(said, process.returncode)}): check the network, or download "
            "that wheel elsewhere and give it to python -m tools.get_mediapipe with --wheel FILE"
        )
    return wheel


def _watch(process: subprocess.Popen[bytes], to: Path, patience: Patience, deadline_s: float, stop: Callable[[], bool]) -> None:
    """Show how far a download is until its process ends. Raises UserError where it is to end sooner."""
    arrived, moved_s = 0, time.monotonic()
    with tqdm(total=WHEEL_BYTES, desc="MediaPipe's models", unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while process.poll() is None:
            size, now_s = _largest(to), time.monotonic()
            if size > arrived:
                bar.update(min(size, WHEEL_BYTES) - arrived)
                arrived, moved_s = size, now_s
            if stop():
                raise _interrupted()
            if now_s > deadline_s or now_s > moved_s + 2 * patience.stalled_s:
                took = f"{arrived / 1e6:.0f} of {WHEEL_BYTES / 1e6:.0f} MB have come in time"
                raise UserError(
                    f"MediaPipe's models cannot be downloaded, {took}: check the network, and fetch them with "
                    "python -m tools.get_mediapipe"
                )
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue


def _largest(folder: Path) -> int:
    """Bytes of the largest file under a folder, in which others may come and go."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue
    return max(sizes)


def _reason(said: Path, code: int) -> str:
    """The last thing that pip complained of, in one line."""
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines() if line.strip()]
    complaints = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (complaints or lines or [f"exit code {code}"])[-1]


def _interrupted() -> UserError:
    return UserError("the download of MediaPipe's models was interrupted: the next run begins it anew")


def _unwritable(cache: Path, error: OSError) -> UserError:
    return UserError(f"{cache} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder that can")
