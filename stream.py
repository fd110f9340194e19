"""DuoHand live: two cameras in, one 3D hand out.

    python stream.py --left 0 --right 2

Exit codes: 0 when it was stopped or a clip ended; 1 when a camera or an output failed, or the result is not what was asked for;
2 for input that cannot be used.
"""

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import TYPE_CHECKING

from hand import logs
from hand.errors import UserError
from hand.findings import Finding, Findings
from hand.program import discard_output, output_failed
from runtime.command_line import read_settings
from runtime.inputs import check_inputs
from runtime.loop import StopFlag, first_pair, run_loop
from runtime.output_guard import OutputGuard
from runtime.reporting.report import Report, TrueHand
from runtime.reporting.run_stats import write_stats
from runtime.reporting.tracking import tracking_finding
from runtime.run_files import check_files
from runtime.settings import Settings
from runtime.unused_settings import unused_settings

if TYPE_CHECKING:
    # The network's and the window's libraries take seconds to import: only a run does.
    from capture.frames import FramePair
    from capture.recording.replay import ReplayPairs
    from capture.stream import PairStream
    from runtime.calibration.recordings.known_cameras import KnownCameras
    from runtime.camera_setup import CameraSetup
    from runtime.outputs.replay_check import ReplayCheck
    from runtime.pipeline import Pipeline

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None, prog: str = "stream.py") -> int:
    """Run the application as the program `prog`; returns its exit code."""
    stop = _stop_on_signals()
    logs.configure(name=prog)
    with ExitStack() as stack:
        try:
            settings = read_settings(arguments, prog)
            logs.configure(settings.log_level, name=prog)
            check_files(settings, sys.argv[1:] if arguments is None else arguments)
            stack.enter_context(logs.log_of_recording(settings.record, overwrite=settings.overwrite))
            for sentence in unused_settings(settings):
                log.warning(sentence)
            return Stream(settings, stop).run()
        except UserError as error:
            log.error(str(error))
            return 2
        except KeyboardInterrupt:
            return 130


class Stream:
    """One run: opens what the settings name, streams until the end, and prints the summary."""

    def __init__(self, settings: Settings, stop: StopFlag):
        """Raises UserError for input that cannot be used."""
        self._findings = Findings()
        check_inputs(settings, self._findings)
        # Libraries of networks take seconds to import: what is wrong above is said before.
        from capture.stream import PairStream
        from runtime.estimator_setup import settle_estimator
        from runtime.first_pass import reads_first
        from runtime.outputs.outputs import Outputs
        from runtime.pipeline_loader import PipelineLoader
        from runtime.synchronization.step_check import StepCheck

        # The network's thread asks for the interpreter before each layer, and the viewer's may keep it this long: with a busy
        # viewer the default of 5 ms doubles the network's time.
        sys.setswitchinterval(0.0005)
        self._stop = stop
        self._reads_first = reads_first(settings)
        settled = settle_estimator(settings, self._findings, lambda: stop.requested)
        settings = self._settings = _with_timing(settled.settings, self._findings)
        self._pairs, self._replay_check = _open_pairs(settings, self._findings)
        self._loader = PipelineLoader(settings, self._replay_check, settled.engine)
        if settled.why:
            log.info(f"estimator: {settled.why}")
        live = not (settings.every_pair or settings.replay)
        self._report = Report(live=live, hand_size_mm=settings.hand_size_mm, true_hand=_true_hand(settings))
        self._report.findings = self._findings
        self._report.sections["clocks"] = lambda: self._pairs.clocks
        clips = isinstance(self._pairs, PairStream) and self._pairs.of_clips
        self._known: KnownCameras | None = None
        """Cameras that a first pass has found."""
        self._step_check = StepCheck(self._findings, clips=clips, offset_s=settings.offset_s)
        self._report.skew_note = self._step_check.sentence
        self._outputs = Outputs(settings, self._loader.metadata, self._findings)
        self._outputs.count(lambda: self._pairs.drops)
        if isinstance(self._pairs, PairStream):
            self._pairs.tap = self._outputs.tap

    def run(self) -> int:
        """Stream until the end and print the summary; returns the exit code. Raises UserError for input that cannot be used."""
        from tqdm import tqdm

        from capture.frame_check_text import no_pairs
        from runtime.first_pass import find_cameras

        pairs, replay_check = self._pairs, self._replay_check
        try:
            if self._reads_first:
                found = find_cameras(self._settings, self._loader.make, self._stop)
                self._known = found and found.known
                if found and found.doubt:
                    self._findings.add(found.doubt)
            with pairs, tqdm(desc="pairs", unit=" pairs", disable=None if self._settings.every_pair else True) as bar:
                for note in pairs.notes:
                    log.info(note)
                for note in replay_check.begin(self._loader.metadata) if replay_check else []:
                    log.warning(note)
                first = first_pair(pairs, self._stop)
                if first is not None:
                    self._run_from(first, bar.update)
            if pairs.failure:
                self._findings.add(Finding("camera_failed", pairs.failure, "error"))
            elif first is None and not self._stop.requested:
                self._findings.add(Finding("no_pairs", no_pairs(pairs.received), "error"))
        except UserError:
            if self._report.pairs:
                self._summarize()
            raise
        finally:
            self._outputs.close()
        if replay_check and self._report.pairs:
            self._findings.add(replay_check.finding)
        self._summarize()
        self._log_end()
        return 1 if self._findings.failed else 0

    def _run_from(self, first: "FramePair", on_pair: Callable[[], object]) -> None:
        """Run the loop, the size of the frames being known by now, and save what was found of the cameras."""
        from adapt.online.camera_pipeline import CameraPipeline
        from runtime.camera_setup import UndistortedPairs
        from runtime.estimators.locator import load_locator
        from runtime.late_view import LateView
        from runtime.view.open_viewer import viewer_opener
        from runtime.watch.run_watch import RunWatch

        settings, outputs, report, replay_check = self._settings, self._outputs, self._report, self._replay_check
        setup = self._set_up(first)
        solver = outputs.begin(self._loader.solver(), setup.remembered, setup.found)
        processor = CameraPipeline(settings, self._loader, solver, self._findings, setup)

        def set_up_anew(pair: "FramePair") -> None:
            setup = self._set_up(pair)
            if undistorted and setup.undistorters:
                undistorted.undistorters = setup.undistorters
            processor.set_up_anew(setup)

        pairs = LateView(self._pairs, first, set_up_anew)
        undistorted = UndistortedPairs(pairs, setup.undistorters) if setup.undistorters else None
        if undistorted:
            undistorted.corrected = lambda: processor.pipeline.rig.state.lenses
        report.calibration = lambda: processor.pipeline.calibration_status
        report.sections["tracking"] = lambda: processor.pipeline.tracking
        taught_in_colour = settings.estimator == "detnet"
        watch = RunWatch(self._findings, report.calibration, taught_in_colour=taught_in_colour, load_locator=load_locator)
        report.calibration_stats, report.calibration_lines = lambda: watch.calibration.figures, watch.calibration.lines
        try:
            processor.begin_adaptation()
            if processor.adaptation:
                report.notes.append(lambda: processor.adaptation_sentence)
                report.sections["adaptation"] = lambda: processor.adaptation_figures
            run_loop(
                undistorted.undistort(first) if undistorted else first,
                outputs.marked(undistorted or pairs, first),
                processor,
                report,
                make_screen=viewer_opener(settings, setup.cameras, self._findings),
                outputs=[outputs, watch, self._step_check, *([replay_check] if replay_check else [])],
                every_pair=settings.every_pair,
                on_pair=on_pair,
                seconds=settings.seconds,
                stop=self._stop,
            )
            self._step_check.finish()
        finally:
            processor.close()
            if solver:
                solver.close()
            self._save_profile(processor.setup, processor.pipeline)
            if finding := tracking_finding(processor.pipeline.tracking):
                self._findings.add(finding)

    def _set_up(self, pair: "FramePair") -> "CameraSetup":
        """What is known of the cameras by a pair of theirs."""
        from runtime.camera_setup import CameraSetup

        setup = CameraSetup.of(self._settings, pair, self._replay_check.profile() if self._replay_check else None)
        setup = setup.with_found(self._replay_check.found() if self._replay_check else self._known)
        sizes = ", ".join(
            f"{view} {'absent' if pair[view].absent else '{}x{} px'.format(*camera.size_px)}"
            for view, camera in setup.cameras.items()
        )
        log.info(f"cameras: {sizes}{', remembered' if setup.remembered else ''}{', found' if setup.found else ''}; Ctrl-C ends")
        return setup

    def _save_profile(self, setup: "CameraSetup", pipeline: "Pipeline") -> None:
        try:
            setup.save_profile(pipeline.rig.state, self._settings.hand_size_mm)
        except UserError as error:
            # The hands are as good as they would be: the next run alone begins without it.
            self._findings.add(Finding("profile_not_saved", str(error)))

    def _summarize(self) -> None:
        """Print the summary, and write the figures where they are asked for."""
        drops, faults = self._pairs.drops | self._outputs.drops, self._pairs.faults
        if self._settings.stats:
            with OutputGuard(self._findings, "stats", self._settings.stats):
                write_stats(self._settings.stats, self._report.stats(drops, faults), overwrite=self._settings.overwrite)
        try:
            print(self._report.summary(drops, faults), flush=True)
        except OSError as error:
            discard_output()
            self._findings.add(Finding("summary_failed", output_failed(error), "error"))

    def _log_end(self) -> None:
        """Log what there is to say of cameras, recording and replay once all has ended."""
        pairs, replay_check = self._pairs, self._replay_check
        for note in pairs.notes:
            log.info(note)
        for view, clock in pairs.clocks.items():
            log.info(f"{view} camera: {clock}")
        said = {finding.kind for finding in self._findings.all}
        if pairs.complaint and not said & {"messages_malformed", "images_undecodable"}:
            log.warning(pairs.complaint if replay_check else f"the latest malformed message: {pairs.complaint}")


def _with_timing(settings: Settings, findings: Findings) -> Settings:
    """The same settings with the figures that `auto` stands for. Raises UserError where they cannot be found."""
    if "auto" not in (settings.offset, settings.rate):
        return settings
    from runtime.synchronization.clip_pass import find_timing

    return find_timing(settings, findings)


def _open_pairs(settings: Settings, findings: Findings) -> "tuple[PairStream | ReplayPairs, ReplayCheck | None]":
    """The source of pairs and, for a recording, the check of its replay."""
    if settings.replay is None:
        from capture.stream import PairStream
        from capture.transport.keys import load_keys

        keys = load_keys(settings.keys) if settings.keys else None
        pairs = PairStream(
            settings.sources,
            every_pair=settings.every_pair,
            mode=settings.camera_mode,
            keys=keys,
            findings=findings,
            timing=settings.clip_timing,
        )
        return pairs, None
    from capture.recording.replay import ReplayPairs
    from runtime.outputs.replay_check import ReplayCheck, read_run

    recorded = read_run(settings.replay)
    pairs = ReplayPairs(settings.replay, paced=not settings.every_pair)
    return pairs, ReplayCheck(settings.replay, recorded, pairs)


def _true_hand(settings: Settings) -> TrueHand | None:
    """The truth to compare with, where both cameras are synthetic."""
    if any(source != "synthetic" for source in settings.sources):
        return None
    from capture.sources.synthetic import truth

    return lambda pair: truth(pair.left.captured_ns)


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
