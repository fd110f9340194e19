"""`--calibrate first`: reads clips once for their cameras, before the run gives every hand by these."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from capture.frames import FramePair
from capture.sources.clip_header import frame_count
from capture.sources.registry import parse_source
from capture.stream import PairStream
from capture.views import PerView
from hand.errors import UserError
from hand.findings import Finding, Findings
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.solver_process import InlineSolver, Solver
from runtime.calibration.status import CalibrationStatus
from runtime.calibration_pass import CalibrationPass
from runtime.camera_setup import CameraSetup, UndistortedPairs
from runtime.late_view import LateView
from runtime.loop import POLL_S, StopFlag, first_pair
from runtime.pipeline import Pipeline
from runtime.reporting.calibration_text import describe
from runtime.settings import Settings

log = logging.getLogger(__name__)
MakePipeline = Callable[[CameraSetup, Solver | None], Pipeline]


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What a pass over a recording has found."""

    known: KnownCameras | None
    """None where a camera was moved, or the cameras were not found."""
    moved: bool
    """Whether a camera was moved in it."""
    status: CalibrationStatus
    """At its end."""
    pairs: int
    seen: PerView[int]
    """Frames with a hand, by view."""
    both: int
    """Pairs with a hand in both views."""

    @property
    def doubt(self) -> Finding | None:
        """What the user is to know where there are no cameras that hold for all of the recording."""
        if self.known is not None:
            return None
        why = (
            "a camera was moved"
            if self.moved
            else f"{self.both:,} of {self.pairs:,} pairs show the hand to both views ({describe(self.status)})"
        )
        return Finding("cameras_not_found_first", f"--calibrate first found no cameras: {why}; they calibrate as the run goes on")


def reads_first(settings: Settings) -> bool:
    """Whether the recording is read for its cameras before the run. Raises UserError where that is asked for and cannot be."""
    asked = settings.calibrate == "first"
    why = _why_not(settings)
    if asked and why:
        raise UserError(f"--calibrate first reads a recording twice, and {why}")
    return asked and settings.merge != "rotation"


def _why_not(settings: Settings) -> str | None:
    """What keeps clips from being read twice, and what to do; None where they can be."""
    if settings.replay:
        both = f"--left {settings.replay}#left --right {settings.replay}#right"
        return f"--replay repeats what the recorded run did: leave it out, or give {both}"
    if not settings.every_pair:
        return "a live run sees its pairs once: give clips or recordings with --every-pair, or leave it out"
    for view, source in settings.sources.items():
        spec = parse_source(source, secured=settings.keys is not None)
        if spec.lasting or not spec.files:
            return f"the {view} source {source!r} is no file: give clips or recordings, or leave it out"
    return None


def find_cameras(settings: Settings, make: MakePipeline, stop: StopFlag) -> FirstPass | None:
    """What a pass over all pairs gives; None where the cameras are given, there is no pair, or it was stopped.

    What is wrong with the clips is said by the run itself, which reads them again. Raises UserError for clips that cannot be read
    at all.
    """
    stream = PairStream(
        settings.sources,
        every_pair=True,
        mode=settings.camera_mode,
        findings=Findings(quiet=True),
        timing=settings.clip_timing,
    )
    bar = tqdm(desc="calibrating", unit=" pairs", total=frame_count(settings.sources.left), disable=None)
    with _said_elsewhere(), stream, bar:
        first = first_pair(stream, stop)
        if first is None:
            return None
        setup = CameraSetup.of(settings, first)
        if setup.given:
            return None
        reading = CalibrationPass(make(setup, InlineSolver()))

        def set_up_anew(pair: FramePair) -> None:
            nonlocal reading
            setup = CameraSetup.of(settings, pair)
            if undistorted and setup.undistorters:
                undistorted.undistorters = setup.undistorters
            reading = CalibrationPass(make(setup, InlineSolver()))

        pairs = LateView(stream, first, set_up_anew)
        undistorted = UndistortedPairs(pairs, setup.undistorters) if setup.undistorters else None
        pair = undistorted.undistort(first) if undistorted else first
        try:
            while not stop.requested and (pair is not None or not stream.ended):
                if pair is not None:
                    reading.step(pair)
                    bar.update()
                pair = (undistorted or pairs).next_pair(POLL_S)
        except UserError as error:
            # The run comes to the same pair, and says it with what it has by then.
            log.debug(f"calibrating: {error}")
    if stop.requested:
        return None
    known = reading.finish()
    status = reading.pipeline.rig.status or CalibrationStatus()
    return FirstPass(None if reading.moved else known, reading.moved, status, reading.pairs, reading.seen, reading.both)


@contextmanager
def _said_elsewhere() -> Iterator[None]:
    """What the cameras' supervisor says of clips that break off is left to the run."""
    logger = logging.getLogger("capture")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
