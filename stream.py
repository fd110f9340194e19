"""DuoHand live: two cameras in, one 3D hand out.

    python stream.py --left 0 --right 2

Exit codes: 0 when it was stopped or a clip ended, 1 when a camera failed, 2 for input that cannot be used.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from capture.views import PerView
from hand.errors import UserError
from runtime.loop import Stop, first_pair, run_loop
from runtime.report import Report, TrueHand
from runtime.save import HandWriter, make_folder_of
from runtime.settings import Settings, read_settings

if TYPE_CHECKING:
    # The network's and the window's libraries take seconds to import: only a run does.
    from capture.frames import FramePair
    from capture.stream import PairStream
    from hand.camera import PinholeCamera
    from runtime.estimator import Estimator
    from runtime.known_cameras import KnownCameras
    from runtime.pipeline import Pipeline
    from runtime.solver_loop import Solver
    from runtime.viewer import Viewer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the application; returns its exit code."""
    stop = _stop_on_signals()
    try:
        return run(read_settings(arguments), stop)
    except UserError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


def run(settings: Settings, stop: Stop) -> int:
    """Stream until the end and print the summary; returns the exit code. Raises UserError for input that cannot be used."""
    from tqdm import tqdm

    from capture.stream import PairStream

    # The network's thread asks for the interpreter before each layer, and the viewer's may keep it this long: beside a busy
    # viewer the default of 5 ms doubles the network's time.
    sys.setswitchinterval(0.0005)
    for path in (settings.video, settings.picture):
        if path:
            make_folder_of(path)
    pairs = PairStream(settings.sources, every_pair=settings.every_pair)
    make_pipeline = _pipeline_maker(settings)
    report = Report(live=not settings.every_pair, hand_size_mm=settings.hand_size_mm, true_hand=_true_hand(settings))
    writer = HandWriter(settings.save) if settings.save else None
    try:
        with pairs, tqdm(desc="pairs", unit=" pairs", disable=None if settings.every_pair else True) as bar:
            for note in pairs.notes:
                _say(note)
            first = first_pair(pairs, stop)
            if first is not None:
                _run_from(first, pairs, settings, make_pipeline, report, writer, bar.update, stop)
    except UserError:
        if report.pairs:
            print(report.summary(pairs.drops))
        raise
    finally:
        if writer:
            writer.close()
    print(report.summary(pairs.drops))
    if pairs.complaint:
        _say(f"the latest malformed message: {pairs.complaint}")
    if pairs.failure:
        _say(pairs.failure)
    return 1 if pairs.failure else 0


def _run_from(
    first: "FramePair",
    pairs: "PairStream",
    settings: Settings,
    make_pipeline: "Callable[[KnownCameras, Solver | None], Pipeline]",
    report: Report,
    writer: HandWriter | None,
    on_pair: Callable[[], object],
    stop: Stop,
) -> None:
    """Run the loop, its cameras' sizes known by now, and keep what was found of them."""
    from runtime.known_cameras import KnownCameras, StraightPairs
    from runtime.solver_loop import SolverBeside, SolverOnTheSpot

    known = KnownCameras.of(settings, first)
    sizes = ", ".join(f"{view} {camera.size_px[0]}x{camera.size_px[1]} px" for view, camera in known.cameras.items())
    _say(f"cameras: {sizes}{', remembered' if known.remembered else ''}; Ctrl-C ends")
    straight = StraightPairs(pairs, known.straighteners) if known.straighteners else None
    solver = None if settings.merge == "rotation" else SolverOnTheSpot() if settings.every_pair else SolverBeside()
    pipeline = make_pipeline(known, solver)
    try:
        run_loop(
            straight.straight(first) if straight else first,
            straight or pairs,
            pipeline,
            report,
            make_screen=_screen_maker(settings, known.cameras),
            writer=writer,
            every_pair=settings.every_pair,
            on_pair=on_pair,
            seconds=settings.seconds,
            stop=stop,
        )
    finally:
        if solver:
            solver.close()
        known.keep(pipeline.fusion.state, settings.hand_size_mm)


def _pipeline_maker(settings: Settings) -> "Callable[[KnownCameras, Solver | None], Pipeline]":
    """Load the networks now, before the cameras start; the pipeline itself needs the cameras' size."""
    from runtime.pipeline import Pipeline, PipelineSettings
    from runtime.smooth import OneEuroSettings

    make_estimator = _estimator_maker(settings)
    how = PipelineSettings(
        merge=settings.merge,
        hand_size_mm=settings.hand_size_mm,
        merge_rule=settings.merge_rule,
        smooth=OneEuroSettings() if settings.smooth else None,
    )

    def make(known: "KnownCameras", solver: "Solver | None") -> Pipeline:
        calibrator = known.calibrator(settings.hand_size_mm) if solver else None
        return Pipeline(make_estimator(known), known.cameras, how, calibrator=calibrator, solver=solver)

    return make


def _estimator_maker(settings: Settings) -> "Callable[[KnownCameras], Estimator]":
    """Load the networks of the estimator that the settings ask for, and say which it is."""
    from runtime.choose import choose_engine
    from runtime.crop_estimator import CropEstimator
    from runtime.estimator import FollowSettings
    from runtime.weights import ASSETS, DEFAULT_WEIGHTS

    # Live, the cameras' processes and the viewer need the other half.
    threads = None if settings.every_pair else max(1, (os.cpu_count() or 1) // 2)
    follow = FollowSettings(settings.hand_side, settings.rois)
    if settings.engine == "mediapipe" or settings.engine == "mediapipe-lite":
        from runtime.mediapipe import load_mediapipe

        if settings.weights:
            raise UserError(f"--weights {settings.weights} is for DetNet's engines: leave it out with --engine {settings.engine}")
        estimator = load_mediapipe(settings.engine, follow)
        _say(f"engine: {estimator.description}")
        return lambda known: estimator
    engine = choose_engine(settings.engine, settings.weights or DEFAULT_WEIGHTS, threads=threads)
    _say(f"engine: {engine.description}")
    locate = None
    if not all(settings.rois):
        from runtime.locator import load_locator

        locate = load_locator(ASSETS / "locator.safetensors")
    return lambda known: CropEstimator(engine, locate, known.cameras.map(lambda camera: camera.size_px), follow)


def _screen_maker(settings: Settings, cameras: "PerView[PinholeCamera]") -> "Callable[[], Viewer] | None":
    """How to open the viewer; None where nothing is to be shown."""
    headless = settings.headless or _no_display()
    if headless and not (settings.video or settings.picture):
        return None

    def make() -> "Viewer":
        from runtime.viewer import Viewer

        return Viewer(
            headless=headless,
            video=settings.video,
            picture=settings.picture,
            cameras=cameras,
            hand_size_mm=settings.hand_size_mm,
        )

    return make


def _true_hand(settings: Settings) -> TrueHand | None:
    """The truth to compare with, where both cameras are synthetic."""
    if any(source != "synthetic" for source in settings.sources):
        return None
    from capture.synthetic import truth

    return lambda pair: truth(pair.left.captured_ns)


def _no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return False
    _say("there is no display (DISPLAY and WAYLAND_DISPLAY are not set): going on without a window")
    return True


def _stop_on_signals() -> Stop:
    """A first signal asks for the summary and a clean end, a second one ends at once."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    return stop


def _say(sentence: str) -> None:
    print(f"stream.py: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
