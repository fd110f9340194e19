"""How fast a recording is written: frames of two cameras through the recorder to disk, as sent and as JPEG, noisy and smooth.

python -m tools.bench.record --folder /tmp
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from capture import wire
from capture.recording.recorder import Recorder
from capture.recording.writer import RecordFormat
from capture.views import VIEWS
from hand import program

SIZE_PX = (640, 480)
KINDS = ("noisy", "smooth")
"""The worst for compression, and roughly like a video."""


@dataclass
class Settings:
    """Time the recorder with frames of two cameras."""

    folder: Path = Path(".")
    """Folder on the disk to write to."""
    frames: int = 300
    """Frames of each camera."""


def images(kind: str, count: int = 8) -> list[np.ndarray]:
    """Different images (480, 640, 3) uint8."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (SIZE_PX[1], SIZE_PX[0], 3), np.uint8) for _ in range(count)]
    return noise if kind == "noisy" else [cv2.GaussianBlur(image, (0, 0), 6) for image in noise]


def run(kind: str, format: RecordFormat, settings: Settings) -> str:
    """One line: frames and bytes a second, processor time a frame, size of the file."""
    pictures = images(kind)
    messages = {view: [wire.encode(view, 0, 1, image) for image in pictures] for view in VIEWS}
    with tempfile.TemporaryDirectory(dir=settings.folder) as folder:
        path = Path(folder) / "bench.mcap"
        began, used = time.perf_counter(), time.process_time()
        recorder = Recorder(path, {}, format=format, lossless=True)
        for number in tqdm(range(settings.frames), desc=f"{kind} {format}", leave=False, disable=None):
            for view in VIEWS:
                recorder.message(view, messages[view][number % len(pictures)], time.monotonic_ns())
        recorder.close()
        passed, used = time.perf_counter() - began, time.process_time() - used
        size = path.stat().st_size
    frames = len(VIEWS) * settings.frames
    sent = frames * pictures[0].nbytes
    speed = (
        f"{frames / passed:6.0f} frames/s, {sent / passed / 1e6:5.0f} MB/s sent, {1e3 * used / frames:5.2f} ms of a core a frame"
    )
    return f"{kind:<8}{format:<6}{speed}, {sent / size:5.1f} times smaller on the disk"


def main(settings: Settings) -> None:
    """Print a line for each kind of picture and format."""
    for kind in KINDS:
        for format in ("sent", "jpeg"):
            print(run(kind, format, settings))


if __name__ == "__main__":
    program.run(main, Settings)
