"""`--calibrate first`: reads clips once for their cameras, before the run gives every hand by these."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import cv2
from tqdm import tqdm

from capture.frames import FramePair
from capture.sources.registry import parse_source
from capture.stream import PairStream
from capture.views import PerView
from hand.errors import UserError
from hand.findings import Findings
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.recordings.whole_recording import RecordingKeyframes
from runtime.calibration.self_calibrator import CalibrationState
from runtime.calibration.solver_process import InlineSolver, Solver
from runtime.calibration.status import CalibrationStatus
from runtime.calibration_pass import CalibrationPass
from runtime.camera_setup import CameraSetup, UndistortedPairs
from runtime.late_view import LateView
from runtime.loop import StopFlag, first_pair
from runtime.pipeline import Pipeline
from runtime.settings import Settings

log = logging.getLogger(__name__)
_POLL_S = 0.1
MakePipeline = Callable[[CameraSetup, Solver | None], Pipeline]


class Step(Protocol):
    """Takes the pairs of a recording in order."""

    def step(self, pair: FramePair) -> object: ...


StepT = TypeVar("StepT", bound=Step)


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What a pass over recordings of one pair of cameras has found."""

    known: KnownCameras | None = None
    """None where the cameras are given, were moved, or were not found."""
    moved: bool = False
    """Whether a camera was moved in a recording."""
    state: CalibrationState = CalibrationState()
    status: CalibrationStatus = CalibrationStatus()
    """Of the last recording, at its end."""
    pairs: int = 0
    seen: PerView[int] = PerView(0, 0)
    """Frames with a hand, by view."""
    both: int = 0
    """Pairs with a hand in both views."""


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


def find_cameras(recordings: Sequence[Settings], make: MakePipeline, stop: StopFlag) -> FirstPass:
    """The cameras that a pass over all pairs of `recordings`, of one pair of cameras, gives.

    What the run itself says of the clips is not said here. Raises UserError for clips that cannot be read at all.
    """
    keyframes: RecordingKeyframes | None = None
    reading: CalibrationPass | None = None
    pairs, left, right, both = 0, 0, 0, 0
    for settings in recordings:

        def begin(setup: CameraSetup, pair: FramePair, before: RecordingKeyframes | None = keyframes) -> CalibrationPass | None:
            return None if setup.given else CalibrationPass(make(setup, InlineSolver()), before)

        reading = read_clips(settings, begin, stop, "calibrating", quiet=True)
        if reading is None or stop.requested:
            return FirstPass()
        keyframes = reading.keyframes
        pairs, both = pairs + reading.pairs, both + reading.both
        left, right = left + reading.seen.left, right + reading.seen.right
        if reading.moved:
            log.info("a camera was moved while it was recorded, so no cameras hold for all of the recording")
            break
    if reading is None:
        return FirstPass()
    known = reading.finish()
    rig = reading.pipeline.rig
    status = rig.status or CalibrationStatus()
    return FirstPass(None if reading.moved else known, reading.moved, rig.state, status, pairs, PerView(left, right), both)


def read_clips(
    settings: Settings,
    begin: Callable[[CameraSetup, FramePair], StepT | None],
    stop: StopFlag,
    doing: str,
    *,
    quiet: bool = False,
) -> StepT | None:
    """Give all pairs of two clips, undistorted by a calibration if there is one, to what `begin` makes for their cameras.

    Returns that; None where there is no pair, or where `begin` gives nothing. `begin` is called again where a camera came late.
    `quiet`: what is wrong with the clips is said by another reading. Raises UserError for clips that cannot be read.
    """
    stream = PairStream(
        settings.sources,
        every_pair=True,
        mode=settings.camera_mode,
        findings=Findings(quiet=quiet),
        timing=settings.clip_timing,
    )
    with _said_elsewhere(quiet), stream, tqdm(desc=doing, unit=" pairs", total=_frames(settings), disable=None) as bar:
        first = first_pair(stream, stop)
        if first is None:
            return None
        setup = CameraSetup.of(settings, first)
        taker = begin(setup, first)
        undistorted: UndistortedPairs | None = None

        def set_up_anew(pair: FramePair) -> None:
            nonlocal taker
            setup = CameraSetup.of(settings, pair)
            if undistorted and setup.undistorters:
                undistorted.undistorters = setup.undistorters
            taker = begin(setup, pair)

        pairs = LateView(stream, first, set_up_anew)
        undistorted = UndistortedPairs(pairs, setup.undistorters) if setup.undistorters else None
        pair = undistorted.undistort(first) if undistorted else first
        try:
            while taker is not None and not stop.requested and (pair is not None or not stream.ended):
                if pair is not None:
                    taker.step(pair)
                    bar.update()
                pair = (undistorted or pairs).next_pair(_POLL_S)
        except UserError as error:
            if not quiet:
                raise
            # Another reading comes to the same pair, and says it with what it has by then.
            log.debug(f"{doing}: {error}")
        if stream.failure and not quiet:
            raise UserError(stream.failure)
    return taker


@contextmanager
def _said_elsewhere(quiet: bool) -> Iterator[None]:
    """With `quiet`, what the cameras' supervisor says of clips that break off is left to another reading."""
    logger = logging.getLogger("capture")
    before = logger.level
    logger.setLevel(logging.CRITICAL if quiet else before)
    try:
        yield
    finally:
        logger.setLevel(before)


def _frames(settings: Settings) -> int | None:
    """About how many pairs there are; None where that is not known."""
    left = settings.sources.left
    count = 0 if "#" in left else int(cv2.VideoCapture(left).get(cv2.CAP_PROP_FRAME_COUNT))
    return count if count > 0 else None
