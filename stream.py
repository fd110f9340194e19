"""DuoHand live: two cameras in, one 3D hand out.

    python stream.py --left 0 --right 2

Exit codes: 0 when it was stopped or a clip ended, 1 when a camera failed, 2 for input that cannot be used.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING

from capture.views import PerView
from hand import logs
from hand.errors import UserError
from runtime.command_line import read_settings
from runtime.loop import StopFlag, first_pair, run_loop
from runtime.outputs.hand_writer import make_folder_of
from runtime.reporting.report import Report, TrueHand
from runtime.reporting.run_stats import write_stats
from runtime.settings import Settings

if TYPE_CHECKING:
    # The network's and the window's libraries take seconds to import: only a run does.
    from adapt.online.live_adaptation import LiveAdaptation
    from capture.frames import FramePair
    from capture.recording.replay import ReplayPairs
    from capture.stream import PairStream
    from hand.camera import PinholeCamera
    from runtime.calibration.solver_process import Solver
    from runtime.camera_setup import CameraSetup
    from runtime.outputs.outputs import Outputs
    from runtime.outputs.replay_check import ReplayCheck
    from runtime.outputs.run_recorder import RunMetadata
    from runtime.pipeline import Pipeline
    from runtime.view.viewer import Viewer

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None, prog: str = "stream.py") -> int:
    """Run the application as the program `prog`; returns its exit code."""
    stop = _stop_on_signals()
    logs.configure(name=prog)
    with ExitStack() as stack:
        try:
            settings = read_settings(arguments, prog)
            logs.configure(settings.log_level, name=prog)
            stack.enter_context(logs.log_of_recording(settings.record))
            return run(settings, stop)
        except UserError as error:
            log.error(str(error))
            return 2
        except KeyboardInterrupt:
            return 130


def run(settings: Settings, stop: StopFlag) -> int:
    """Stream until the end and print the summary; returns the exit code. Raises UserError for input that cannot be used."""
    from tqdm import tqdm

    from capture.stream import PairStream
    from runtime.outputs.outputs import Outputs

    # The network's thread asks for the interpreter before each layer, and the viewer's may keep it this long: beside a busy
    # viewer the default of 5 ms doubles the network's time.
    sys.setswitchinterval(0.0005)
    for path in (settings.video, settings.picture, settings.stats):
        if path:
            make_folder_of(path)
    pairs, rerun = _open_pairs(settings)
    make_pipeline, about = _pipeline_maker(settings, rerun)
    live = not (settings.every_pair or rerun)
    report = Report(live=live, hand_size_mm=settings.hand_size_mm, true_hand=_true_hand(settings))
    report.sections["clocks"] = lambda: pairs.clocks
    outputs = Outputs(settings, about)
    outputs.count(lambda: pairs.drops)
    if isinstance(pairs, PairStream):
        pairs.tap = outputs.tap
    try:
        with pairs, tqdm(desc="pairs", unit=" pairs", disable=None if settings.every_pair else True) as bar:
            for note in pairs.notes:
                log.info(note)
            for note in rerun.begin(about) if rerun else []:
                log.warning(note)
            first = first_pair(pairs, stop)
            if first is not None:
                _run_from(first, pairs, rerun, settings, make_pipeline, report, outputs, bar.update, stop)
    except UserError:
        if report.pairs:
            _tell(report, pairs, outputs, settings)
        raise
    finally:
        outputs.close()
    _tell(report, pairs, outputs, settings)
    for note in pairs.notes:
        log.info(note)
    for view, clock in pairs.clocks.items():
        log.info(f"{view} camera: {clock}")
    if rerun and report.pairs:
        log.info(rerun.verdict)
    if pairs.complaint:
        log.warning(pairs.complaint if rerun else f"the latest malformed message: {pairs.complaint}")
    for failure in filter(None, (pairs.failure, outputs.failure)):
        log.error(failure)
    return 1 if pairs.failure or outputs.failure else 0


def _open_pairs(settings: Settings) -> "tuple[PairStream | ReplayPairs, ReplayCheck | None]":
    """Where pairs come from, and, of a recording, the run that is to be run again."""
    if settings.replay is None:
        from capture.stream import PairStream
        from capture.transport.keys import load_keys

        keys = load_keys(settings.keys) if settings.keys else None
        pairs = PairStream(settings.sources, every_pair=settings.every_pair, mode=settings.camera_mode, keys=keys)
        return pairs, None
    from capture.recording.replay import ReplayPairs
    from runtime.outputs.replay_check import ReplayCheck, read_run

    about = read_run(settings.replay)
    pairs = ReplayPairs(settings.replay, paced=not settings.every_pair)
    return pairs, ReplayCheck(settings.replay, about, pairs)


def _tell(report: Report, pairs: "PairStream | ReplayPairs", outputs: "Outputs", settings: Settings) -> None:
    """Print the summary, and write the figures where they are asked for."""
    drops = pairs.drops | outputs.drops
    print(report.summary(drops, pairs.faults))
    if settings.stats:
        write_stats(settings.stats, report.stats(drops, pairs.faults))


def _run_from(
    first: "FramePair",
    pairs: "PairStream | ReplayPairs",
    rerun: "ReplayCheck | None",
    settings: Settings,
    make_pipeline: "Callable[[CameraSetup, Solver | None], Pipeline]",
    report: Report,
    outputs: "Outputs",
    on_pair: Callable[[], object],
    stop: StopFlag,
) -> None:
    """Run the loop, its cameras' sizes known by now, and keep what was found of them."""
    from runtime.camera_setup import CameraSetup, UndistortedPairs

    known = CameraSetup.of(settings, first, rerun.profile() if rerun else None)
    sizes = ", ".join(f"{view} {camera.size_px[0]}x{camera.size_px[1]} px" for view, camera in known.cameras.items())
    log.info(f"cameras: {sizes}{', remembered' if known.remembered else ''}; Ctrl-C ends")
    undistorted = UndistortedPairs(pairs, known.undistorters) if known.undistorters else None
    solver = outputs.begin(_solver(settings, rerun), known.remembered)
    pipeline = make_pipeline(known, solver)
    report.calibration = lambda: pipeline.calibration_status
    adaptation = None
    try:
        adaptation = _begin_adaptation(settings, known, pipeline)
        if adaptation:
            from adapt.online.status_text import status_sentence

            report.notes.append(lambda: status_sentence(adaptation.status))
            report.sections["adaptation"] = lambda: adaptation.figures
        run_loop(
            undistorted.undistort(first) if undistorted else first,
            outputs.marked(undistorted or pairs, first),
            adaptation or pipeline,
            report,
            make_screen=_screen_maker(settings, known.cameras),
            outputs=[outputs, rerun] if rerun else [outputs],
            every_pair=settings.every_pair,
            on_pair=on_pair,
            seconds=settings.seconds,
            stop=stop,
        )
    finally:
        if adaptation:
            from adapt.online.status_text import summary_sentence

            adaptation.close()
            log.info(summary_sentence(adaptation.status, adaptation.drops))
        if solver:
            solver.close()
        known.save_profile(pipeline.rig.state, settings.hand_size_mm)


def _begin_adaptation(settings: Settings, known: "CameraSetup", pipeline: "Pipeline") -> "LiveAdaptation | None":
    """See `adapt.online.startup.begin`."""
    if settings.adapt == "off":
        return None
    from adapt.online.startup import begin

    return begin(settings, known, pipeline)


def _solver(settings: Settings, rerun: "ReplayCheck | None") -> "Solver | None":
    from runtime.calibration.solver_process import BackgroundSolver, InlineSolver

    if settings.merge == "rotation":
        return None
    if rerun:
        return rerun.solver()
    return InlineSolver() if settings.every_pair else BackgroundSolver()


def _pipeline_maker(
    settings: Settings, rerun: "ReplayCheck | None"
) -> "tuple[Callable[[CameraSetup, Solver | None], Pipeline], RunMetadata]":
    """Load the networks now, before the cameras start; the pipeline itself needs the cameras' size."""
    import torch

    from runtime.estimators.estimator import FollowSettings
    from runtime.estimators.registry import EstimatorOptions, load_estimator
    from runtime.fusion.smoothing import OneEuroSettings
    from runtime.outputs.run_recorder import RunMetadata
    from runtime.pipeline import Pipeline, PipelineSettings

    # Live, the cameras' processes and the viewer need the other half.
    threads = rerun.threads if rerun else None if settings.every_pair else max(1, (os.cpu_count() or 1) // 2)
    follow = FollowSettings(settings.hand_side, settings.rois)
    estimator = load_estimator(settings.estimator, EstimatorOptions(settings.engine, settings.weights, threads, follow))
    log.info(f"engine: {estimator.description}")
    about = RunMetadata.of(settings, estimator.description, estimator.weights, threads, torch.get_num_threads())
    how = PipelineSettings(
        merge=settings.merge,
        hand_size_mm=settings.hand_size_mm,
        merge_rule=settings.merge_rule,
        smooth=OneEuroSettings() if settings.smooth else None,
    )

    def make(known: "CameraSetup", solver: "Solver | None") -> Pipeline:
        calibrator = known.calibrator(settings.hand_size_mm) if solver else None
        sizes_px = known.cameras.map(lambda camera: camera.size_px)
        return Pipeline(estimator.make(sizes_px), known.cameras, how, calibrator=calibrator, solver=solver)

    return make, about


def _screen_maker(settings: Settings, cameras: "PerView[PinholeCamera]") -> "Callable[[], Viewer] | None":
    """How to open the viewer; None where nothing is to be shown."""
    headless = settings.headless or _no_display()
    if headless and not (settings.video or settings.picture):
        return None

    def make() -> "Viewer":
        from runtime.view.viewer import Viewer

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
    from capture.sources.synthetic import truth

    return lambda pair: truth(pair.left.captured_ns)


def _no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return False
    log.info("there is no display (DISPLAY and WAYLAND_DISPLAY are not set): going on without a window")
    return True


def _stop_on_signals() -> StopFlag:
    """A first signal asks for the summary and a clean end, a second one ends at once."""
    stop = StopFlag()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    return stop


if __name__ == "__main__":
    sys.exit(main())
