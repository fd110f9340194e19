"""The application with feeds whose senders get something wrong, or start late: it says so, and goes on with what works."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import zmq

from capture import wire
from capture.views import VIEWS, View
from tests.paths import ROOT

TIMEOUT_S = 120
ROI = ["--roi-left", "32", "24", "40", "--roi-right", "32", "24", "40"]
IMAGES = {size: np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8) for size in ((64, 48), (96, 72))}


def run(
    tmp_path: Path, weights: Path, make: Callable[[View, int, bool], list[bytes] | None], until: str, seconds: float
) -> tuple[int, str, dict]:
    """Exit code, errors and figures of a run of `seconds` whose feeds send what `make` gives for a view and number, which is told
    whether the run has said `until`.
    """
    sources = {view: f"ipc://{tmp_path}/{view}" for view in VIEWS}
    with zmq.Context() as context, context.socket(zmq.PUB) as left, context.socket(zmq.PUB) as right:
        sockets: dict[View, zmq.Socket] = {"left": left, "right": right}
        for view, socket in sockets.items():
            socket.linger = 0
            socket.bind(sources[view])
        errors = tmp_path / "errors"
        with errors.open("w") as file:
            process = subprocess.Popen(
                [
                    *(sys.executable, "stream.py", "--left", sources["left"], "--right", sources["right"], "--headless"),
                    *("--no-remember", "--weights", str(weights), "--engine", "torch", *ROI, "--merge", "rotation"),
                    *("--seconds", str(seconds), "--stats", str(tmp_path / "stats.json")),
                ],
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
            deadline, number = time.monotonic() + TIMEOUT_S, 0
            while process.poll() is None:
                assert time.monotonic() < deadline
                said = until in errors.read_text()
                for view in VIEWS:
                    message = make(view, number, said)
                    if message is not None:
                        sockets[view].send_multipart(message)
                number += 1
                # The feeds' rate.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
    return process.returncode, errors.read_text(), json.loads((tmp_path / "stats.json").read_text())


def good(view: View, number: int, size: tuple[int, int] = (64, 48)) -> list[bytes]:
    return wire.encode(view, number, time.monotonic_ns(), IMAGES[size], "jpeg")


def test_a_view_with_cut_images_is_named_and_the_other_one_gives_the_pairs(tmp_path, weights):
    def make(view: View, number: int, said: bool) -> list[bytes]:
        topic, header, image = good(view, number)
        return [topic, header, image if view == "left" else image[: len(image) // 2]]

    code, errors, stats = run(tmp_path, weights, make, "", 3)
    assert code == 1 and "frames of the right feed cannot be decoded, going on with the left one" in errors
    assert stats["pairs"] > 0 and "Traceback" not in errors
    assert [(found["kind"], found["view"]) for found in stats["findings"] if found["level"] == "error"] == [
        ("images_undecodable", "right")
    ]


def test_a_view_that_comes_late_with_another_size_is_set_up_and_used(tmp_path, weights):
    def make(view: View, number: int, said: bool) -> list[bytes] | None:
        if view == "right":
            return good(view, number, (96, 72)) if said else None
        return good(view, number)

    code, errors, stats = run(tmp_path, weights, make, "no frame of the right view has come", 8)
    assert "right absent" in errors
    assert "right camera: it has come, 96x72 px; both cameras are set up anew" in errors
    assert code == 0 and "Traceback" not in errors
    # Pairs of both views have a skew.
    assert sum(each["pairs"] for each in stats["skew"]["bins"]) > 0 and not [
        found for found in stats["findings"] if found["level"] == "error"
    ]
