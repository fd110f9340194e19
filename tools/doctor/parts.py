"""Whether libraries, engines, estimators and drawing work: each is run once or more."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import get_args

import numpy as np

from hand.errors import UserError
from tools.doctor.finding import Finding

LIBRARIES = ("cv2", "zmq", "msgspec", "mcap", "poselib", "safetensors")
_RUNS = 15
_DRAW = """
import time
import numpy as np
from runtime.view.canvas import Canvas
canvas = Canvas((640, 360), visible=False, background=np.zeros(3))
times = []
for _ in range(8):
    began = time.perf_counter()
    canvas.draw()
    canvas.pixels()
    times.append(time.perf_counter() - began)
print(sorted(times)[4] * 1e3)
"""


def check_parts() -> Iterator[Finding]:
    yield from _libraries()
    yield from _torch()
    yield from check_engines()
    yield from _remembered_engines()
    yield from _other_estimators()
    yield _estimator_auto()
    yield _drawing()
    yield _display()


def check_engines() -> Iterator[Finding]:
    """Every engine by name, and the one that `auto` takes."""
    from runtime.engines.names import EngineName
    from runtime.engines.selection import select_engine

    for name in sorted(get_args(EngineName), key=lambda name: name == "auto"):
        topic = f"engine {name}"
        try:
            began = time.perf_counter()
            engine = select_engine(name, threads=1)
            loaded_s = time.perf_counter() - began
            size = engine.manifest.crop_size
            crops = np.zeros((2, size, size, 3), np.uint8)
            times = []
            for _ in range(_RUNS):
                began = time.perf_counter()
                engine(crops)
                times.append(time.perf_counter() - began)
        except UserError as error:
            level = "problem" if name == "auto" else "ok" if name == "tensorrt" and not _has_gpu() else "warning"
            yield Finding(level, topic, f"does not work here: {error}")
            continue
        what = f"{engine.description}: {1e3 * median(times):.1f} ms for two crops on one core, loaded in {loaded_s:.1f} s"
        yield Finding("ok", topic, what)


def _remembered_engines() -> Iterator[Finding]:
    """What earlier runs chose: with the same weights, threads and libraries the next one takes it without timing anything."""
    from runtime.engines.selection_cache import remembered_selections

    for one in remembered_selections():
        threads = "all threads" if one.threads is None else f"{one.threads} thread{'s' * (one.threads > 1)}"
        what = f"{one.engine} for {one.weights}, {threads}: {one.ms[one.engine]:.1f} ms a pair, chosen on {one.date}"
        if one.due(time.time()):
            what += "; the next stream tries it again aside"
        yield Finding("ok", "remembered engine", what)


def _libraries() -> Iterator[Finding]:
    missing, versions = [], []
    for name in LIBRARIES:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
        else:
            versions.append(f"{name} {getattr(module, '__version__', '')}".strip())
    if missing:
        yield Finding("problem", "libraries", f"cannot be imported: {', '.join(missing)}", "run make setup")
    else:
        yield Finding("ok", "libraries", ", ".join(versions))


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("problem", "torch", f"cannot be imported: {error}", "run make setup")
        return
    from runtime.engines.machine import unused_gpu

    unused = unused_gpu()
    if unused:
        yield Finding("warning", "torch", f"{unused}, so it runs on the CPU", "install the torch that fits the driver")
        return
    gpu = f"{torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "no NVIDIA GPU, so it runs on the CPU"
    yield Finding("ok", "torch", f"{torch.__version__}, {torch.get_num_threads()} threads; {gpu}")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _other_estimators() -> Iterator[Finding]:
    """Every estimator but detnet, whose engines have findings of their own."""
    from runtime.estimators.registry import ESTIMATORS, load_estimator
    from runtime.networks.mediapipe_files import ModelsNotFetched

    for name in ESTIMATORS:
        if name == "detnet":
            continue
        try:
            yield Finding("ok", name, load_estimator(name).description)
        except ModelsNotFetched:
            advice = "the first stream fetches them (36 MB), or fetch them now with python -m tools.get_mediapipe"
            yield Finding("warning", name, "MediaPipe's models are not here yet", advice)
        except UserError as error:
            yield Finding("warning", name, str(error))


def _estimator_auto() -> Finding:
    """The one that a stream of two cameras takes with what is here now."""
    from runtime.estimator_setup import BestNetwork, choose, task_of
    from runtime.networks.mediapipe_files import models_installed
    from runtime.pipeline_loader import engine_threads
    from runtime.settings import Settings

    if not models_installed():
        return Finding("ok", "estimator auto", "detnet, unless the next stream can fetch MediaPipe's models")
    settings = Settings(left="0", right="2")
    choice = choose(task_of(settings), BestNetwork(settings.engine, engine_threads(settings)), fetch=False)
    return Finding("ok", "estimator auto", f"two cameras of {settings.camera_fps:g} Hz: {choice}")


def _drawing() -> Finding:
    """In a process of its own: where a system library is missing, open3d may end the whole process."""
    done = subprocess.run([sys.executable, "-c", _DRAW], capture_output=True, text=True, timeout=120)
    if done.returncode == 0:
        return Finding("ok", "drawing", f"open3d draws, {float(done.stdout.split()[-1]):.1f} ms for an empty picture")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    advice = "run make setup, which names the missing system packages; without them use --headless and leave out --video"
    return Finding("warning", "drawing", f"open3d cannot draw: {last}", advice)


def _display() -> Finding:
    shown = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if shown or sys.platform != "linux":
        return Finding("ok", "display", shown or "the system's own")
    return Finding(
        "warning",
        "display",
        "no display (DISPLAY and WAYLAND_DISPLAY are not set)",
        "no window can open; use --headless, or --video FILE to write the picture to a file",
    )
