"""How long the whole pipeline takes for a pair of frames, stage by stage: `python -m tools.bench stream`.

As in the live program the solver runs in a background process and the network on half of the cores. Frames are decoded in
advance. Another program's command may be run in turns with it.
"""

import itertools
import os
import re
import shlex
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.frames import Frame, FramePair
from capture.sources.synthetic import FRAMES, SyntheticSource
from capture.sources.video_file import FileSource
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.errors import UserError
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.self_calibrator import SelfCalibrator
from runtime.calibration.solver_process import BackgroundSolver
from runtime.engines.engine import Engine
from runtime.engines.names import EngineName
from runtime.engines.selection import select_engine
from runtime.estimators.crop_estimator import CropEstimator
from runtime.estimators.locator import load_locator
from runtime.networks.weights import DEFAULT_WEIGHTS
from runtime.pipeline import Pipeline

WARM_UP = 10
"""Pairs at the start of a clip that are not timed: the hand is located, libraries warm up."""
STAGES = {
    "locate": "the locator, where a view has no track",
    "network": "the engine, on both views' crops",
    "crop": "cutting crops, predictions in the frames' axes, tracks, handedness filter",
    "learn": "rotation between the cameras, keyframes for their calibration",
    "fuse": "merging both views by geometry or rotation, smoothing",
    "rest": "the remainder",
}


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """Figures of the runs over a clip."""

    engine: str
    pairs: int
    ms: dict[str, float]
    """Median milliseconds a pair: `whole`, and each of `STAGES`."""
    p90_ms: float
    """Of the whole."""
    peer_pairs_per_s: float | None

    @property
    def pairs_per_s(self) -> float:
        return 1e3 / self.ms["whole"]


def show(clip: PerView[Path] | None, engine_name: EngineName, peer: str | None) -> dict[str, Any]:
    """Measure and print the table; returns its figures for a file. Raises UserError as `bench_stream` does."""
    figures = bench_stream(clip, engine_name, peer)
    print(stream_table(figures))
    return stream_json(figures)


def bench_stream(
    clip: PerView[Path] | None, engine_name: EngineName = "auto", peer: str | None = None, rounds: int = 3
) -> StreamFigures:
    """Run a clip of two files, or the synthetic cameras, `rounds` times. `peer`: a command that prints `N pairs/s`, run in turns.

    Raises UserError for a clip that cannot be read, or a peer that does not print its rate.
    """
    pairs = read_pairs(clip)
    engine = select_engine(engine_name, DEFAULT_WEIGHTS, threads=max(1, (os.cpu_count() or 1) // 2))
    spent: dict[str, list[float]] = defaultdict(list)
    rates: list[float] = []
    for _ in range(rounds):
        for stage, times in run_once(pairs, engine).items():
            spent[stage] += times
        if peer:
            rates.append(peer_rate(peer))
    ms = {stage: float(np.median(times)) for stage, times in spent.items()}
    p90 = float(np.percentile(spent["whole"], 90))
    return StreamFigures(engine.description, len(pairs), ms, p90, float(np.median(rates)) if rates else None)


def stream_table(figures: StreamFigures) -> str:
    """The figures as text."""
    whole = figures.ms["whole"]
    lines = [f"whole pipeline, {figures.pairs} pairs, {figures.engine}"]
    lines += [f"  {name:8} {figures.ms[name]:7.2f} ms  {what}" for name, what in STAGES.items()]
    lines.append(f"  {'whole':8} {whole:7.2f} ms a pair (p90 {figures.p90_ms:.2f}), {figures.pairs_per_s:.1f} pairs/s")
    if figures.peer_pairs_per_s:
        ratio = figures.pairs_per_s / figures.peer_pairs_per_s
        lines.append(
            f"  {'peer':8} {1e3 / figures.peer_pairs_per_s:7.2f} ms a pair, {ratio:.2f} times as slow as the whole pipeline"
        )
    return "\n".join(lines)


def stream_json(figures: StreamFigures) -> dict[str, Any]:
    """The figures for a file."""
    ratio = figures.pairs_per_s / figures.peer_pairs_per_s if figures.peer_pairs_per_s else None
    return {
        "engine": figures.engine,
        "pairs": figures.pairs,
        "pairs_per_s": figures.pairs_per_s,
        "ms": figures.ms,
        "p90_ms": figures.p90_ms,
        "peer_pairs_per_s": figures.peer_pairs_per_s,
        "ratio_to_peer": ratio,
    }


def read_pairs(clip: PerView[Path] | None) -> list[FramePair]:
    """All pairs of two files, or of one loop of the synthetic cameras. Raises UserError."""

    def shots(view: View) -> list[tuple[int, int, np.ndarray]]:
        source = FileSource(clip[view], paced=False) if clip else SyntheticSource(view)
        frames = source.frames(0) if isinstance(source, FileSource) else source.frames(0, paced=False)
        return list(frames if clip else itertools.islice(frames, FRAMES))

    def frame(view: View, shot: tuple[int, int, np.ndarray]) -> Frame:
        seq, captured_ns, image = shot
        return Frame(view, seq, captured_ns, captured_ns, image)

    left, right = shots("left"), shots("right")
    if len(left) <= WARM_UP:
        raise UserError(f"the clip has {len(left)} frames: give one of more than {WARM_UP}")
    return [FramePair(frame("left", a), frame("right", b)) for a, b in zip(left, right, strict=False)]


def run_once(pairs: list[FramePair], engine: Engine) -> dict[str, list[float]]:
    """Milliseconds of every pair by stage, of a pipeline that starts uncalibrated."""
    sizes = PerView.of(lambda view: (pairs[0][view].image.shape[1], pairs[0][view].image.shape[0]))
    cameras = sizes.map(lambda size: PinholeCamera.from_fov(*size))
    watch = Watch()
    estimator = CropEstimator(_Watched(engine, watch, "network"), watch.of(load_locator(), "locate"), sizes)  # pyright: ignore[reportArgumentType]
    solver = BackgroundSolver()
    try:
        calibrator = SelfCalibrator(sizes, PerView(None, None), DEFAULT_HAND_SIZE_MM)
        pipeline = Pipeline(watch.of(estimator, "estimate"), cameras, calibrator=calibrator, solver=solver)  # pyright: ignore[reportArgumentType]
        pipeline.rig = _WatchedRig(pipeline.rig, watch)  # pyright: ignore[reportAttributeAccessIssue]
        pipeline.track = _WatchedTrack(pipeline.track, watch)  # pyright: ignore[reportAttributeAccessIssue]
        for pair in pairs:
            with watch.measuring("whole"):
                pipeline.step(pair)
            watch.next_pair()
    finally:
        solver.close()
    return {stage: times[WARM_UP:] for stage, times in watch.stages().items()}


def peer_rate(command: str) -> float:
    """Pairs a second that a peer's command prints. Raises UserError where it prints none."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True)
    except OSError as error:
        raise UserError(f"the peer's command {command!r} cannot be run: {error.strerror}") from error
    rates = re.findall(r"([\d.]+) pairs/s", done.stdout)
    if not rates:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UserError(f"the peer's command {command!r} printed no 'N pairs/s' ({' '.join(last)}): run it by hand first")
    return float(rates[-1])


class Watch:
    """Sums the time of each stage, pair by pair."""

    def __init__(self) -> None:
        self._now: dict[str, float] = defaultdict(float)
        self._pairs: list[dict[str, float]] = []

    def measuring(self, stage: str) -> "_Measuring":
        return _Measuring(self._now, stage)

    def of(self, call: Callable[..., Any], stage: str) -> "_Watched":
        return _Watched(call, self, stage)

    def next_pair(self) -> None:
        self._pairs.append(dict(self._now))
        self._now.clear()

    def stages(self) -> dict[str, list[float]]:
        """Milliseconds of every pair, by stage."""
        found: dict[str, list[float]] = defaultdict(list)
        for pair in self._pairs:
            took = defaultdict(float, pair)
            took["crop"] = took["estimate"] - took["network"] - took["locate"]
            took["rest"] = took["whole"] - took["estimate"] - took["learn"] - took["fuse"]
            for stage in ("whole", *STAGES):
                found[stage].append(took[stage] * 1e3)
        return found


class _Measuring:
    def __init__(self, into: dict[str, float], stage: str):
        self._into, self._stage = into, stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._into[self._stage] += time.perf_counter() - self._started


class _Watched:
    """A callable whose calls are timed."""

    def __init__(self, inner: Any, watch: Watch, stage: str):
        self._inner, self._watch, self._stage = inner, watch, stage

    def __call__(self, *arguments: Any) -> Any:
        with self._watch.measuring(self._stage):
            return self._inner(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _WatchedRig(_Watched):
    """A rig whose updates are timed."""

    def __init__(self, inner: Any, watch: Watch):
        super().__init__(inner, watch, "learn")

    def update(self, *arguments: Any) -> None:
        with self._watch.measuring("learn"):
            self._inner.update(*arguments)


class _WatchedTrack(_Watched):
    """A hand track whose fusing is timed."""

    def __init__(self, inner: Any, watch: Watch):
        super().__init__(inner, watch, "fuse")

    def fuse(self, *arguments: Any) -> Any:
        with self._watch.measuring("fuse"):
            return self._inner.fuse(*arguments)
