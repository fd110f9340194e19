"""All outputs of a run besides pictures: a file of hands, a recording, published hands."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from capture.frames import FramePair
from capture.stream import Tap
from capture.transport.keys import load_keys
from runtime.calibration.camera_profile import Profile
from runtime.calibration.solver_log import RecordingSolver
from runtime.calibration.solver_process import Solver
from runtime.loop import PairSource
from runtime.outputs.hand_publisher import HandPublisher
from runtime.outputs.hand_writer import HandWriter
from runtime.outputs.run_recorder import RunMetadata, RunRecorder
from runtime.settings import Settings
from runtime.types import DualHand

log = logging.getLogger(__name__)


class HandOutput(Protocol):
    """Takes the hands of every pair, in order."""

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Take the hands of a pair, which may be none."""
        ...

    def close(self) -> None:
        """Finish. May be called again."""
        ...


def _hand_file(settings: Settings) -> HandOutput | None:
    return HandWriter(settings.save) if settings.save else None


def _publisher(settings: Settings) -> HandOutput | None:
    if not settings.publish:
        return None
    return HandPublisher(settings.publish, load_keys(settings.keys) if settings.keys else None)


OPENERS: tuple[Callable[[Settings], HandOutput | None], ...] = (_hand_file, _publisher)
"""One for each kind of output but the recording: opens it where the settings ask for it, else None. Each raises UserError."""


class Outputs:
    """Opens the outputs of the settings and passes each pair's hands to them. Close it once no camera sends any more."""

    def __init__(self, settings: Settings, about: RunMetadata) -> None:
        """Raises UserError, with everything undone, where one cannot be opened."""
        self._failure_logged = False
        self._opened: list[HandOutput] = []
        self._record: RunRecorder | None = None
        try:
            for open_output in OPENERS:
                output = open_output(settings)
                if output is not None:
                    self._opened.append(output)
            if settings.record:
                self._record = RunRecorder(settings.record, settings, about)
                self._opened.append(self._record)
        except BaseException:
            self.close()
            raise

    @property
    def tap(self) -> Tap | None:
        """Receives the cameras' messages for the recording; None without one."""
        return self._record.recorder.message if self._record else None

    @property
    def drops(self) -> dict[str, int]:
        """Number of frames that were not recorded, by reason."""
        return {"unrecorded": self._record.recorder.unrecorded} if self._record and self._record.recorder.unrecorded else {}

    @property
    def failure(self) -> str | None:
        """Why the recording is incomplete, one sentence; None where it is complete."""
        return self._record.recorder.failure if self._record else None

    def count(self, drops: Callable[[], Mapping[str, int]]) -> None:
        """Record the drops that `drops` returns: frames dropped so far, by reason."""
        if self._record:
            self._record.drops = drops

    def begin(self, solver: Solver | None, remembered: Profile | None) -> Solver | None:
        """Record the profile known at the first pair; returns the solver to use, whose solutions are recorded."""
        if self._record is None:
            return solver
        self._record.write_profile(remembered)
        self._record.solver = RecordingSolver(solver) if solver else None
        return self._record.solver

    def marked(self, pairs: PairSource, first: FramePair) -> PairSource:
        """The same pairs; the recording marks the frames of each when processing starts, and those of `first` now."""
        if self._record is None:
            return pairs
        self._record.mark_processed(first)
        return _MarkedPairs(pairs, self._record)

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Pass on the hands of a pair."""
        for output in self._opened:
            output.take(pair, hands)
        if self.failure and not self._failure_logged:
            self._failure_logged = True
            log.error(self.failure)

    def close(self) -> None:
        """Finish all files. May be called again."""
        for output in self._opened:
            output.close()


class _MarkedPairs:
    """Pairs whose frames a recording marks as processed."""

    def __init__(self, pairs: PairSource, record: RunRecorder) -> None:
        self._pairs = pairs
        self._record = record

    @property
    def ended(self) -> bool:
        return self._pairs.ended

    def next_pair(self, timeout_s: float) -> FramePair | None:
        pair = self._pairs.next_pair(timeout_s)
        if pair is not None:
            self._record.mark_processed(pair)
        return pair
