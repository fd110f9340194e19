"""Everything that a run gives besides pictures: a file of hands, a recording, hands for other programs."""

import logging
from collections.abc import Callable, Mapping

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


class Outputs:
    """Opens what the settings ask for and takes what comes of each pair. To be closed once no camera sends any more."""

    def __init__(self, settings: Settings, about: RunMetadata) -> None:
        """Raises UserError, with everything undone, where one cannot be opened."""
        self._told = False
        self._writer = self._record = None
        self._publisher: HandPublisher | None = None
        try:
            self._writer = HandWriter(settings.save) if settings.save else None
            if settings.publish:
                self._publisher = HandPublisher(settings.publish, load_keys(settings.keys) if settings.keys else None)
            self._record = RunRecorder(settings.record, settings, about) if settings.record else None
        except BaseException:
            self.close()
            raise

    @property
    def tap(self) -> Tap | None:
        """What the cameras' messages are to be shown to."""
        return self._record.recorder.message if self._record else None

    @property
    def drops(self) -> dict[str, int]:
        """Frames that were not recorded."""
        return {"unrecorded": self._record.recorder.unrecorded} if self._record and self._record.recorder.unrecorded else {}

    @property
    def failure(self) -> str | None:
        """Why not everything was recorded that should have been, one sentence."""
        return self._record.recorder.failure if self._record else None

    def count(self, drops: Callable[[], Mapping[str, int]]) -> None:
        """Record what `drops` gives, frames dropped until now by reason."""
        if self._record:
            self._record.drops = drops

    def begin(self, solver: Solver | None, remembered: Profile | None) -> Solver | None:
        """Record what is known at the first pair; gives the solver to be used from now on."""
        if self._record is None:
            return solver
        self._record.remembered(remembered)
        self._record.solver = RecordingSolver(solver) if solver else None
        return self._record.solver

    def watched(self, pairs: PairSource, first: FramePair) -> PairSource:
        """The same pairs; a recording is told of each when it is taken up, as it is of the first one now."""
        if self._record is None:
            return pairs
        self._record.taken_up(first)
        return _Watched(pairs, self._record)

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Take what came of a pair."""
        for output in (self._writer, self._publisher, self._record):
            if output is not None:
                output.take(pair, hands)
        if self.failure and not self._told:
            self._told = True
            log.error(self.failure)

    def close(self) -> None:
        """Finish all files. May be called again."""
        for output in (self._writer, self._publisher, self._record):
            if output is not None:
                output.close()


class _Watched:
    """Pairs that a recording is told of."""

    def __init__(self, pairs: PairSource, record: RunRecorder) -> None:
        self._pairs = pairs
        self._record = record

    @property
    def ended(self) -> bool:
        return self._pairs.ended

    def next_pair(self, timeout_s: float) -> FramePair | None:
        pair = self._pairs.next_pair(timeout_s)
        if pair is not None:
            self._record.taken_up(pair)
        return pair
