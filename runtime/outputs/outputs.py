"""All outputs of a run besides pictures: a file of hands, a recording, published hands."""

from collections.abc import Callable, Mapping
from typing import Protocol

from capture.frames import FramePair
from capture.stream import Tap
from capture.transport.keys import load_keys
from hand.findings import Finding, Findings
from runtime.calibration.camera_profile import Profile
from runtime.calibration.recordings.known_cameras import KnownCameras
from runtime.calibration.solver_log import RecordingSolver
from runtime.calibration.solver_process import Solver
from runtime.loop import PairSource
from runtime.output_guard import OutputGuard
from runtime.outputs.hand_publisher import HandPublisher
from runtime.outputs.hand_writer import HandWriter
from runtime.outputs.queued_output import QueuedOutput
from runtime.outputs.run_recorder import RunMetadata, RunRecorder
from runtime.outputs.stream_registry import open_stream
from runtime.settings import Settings
from runtime.types import DualHand


class HandOutput(Protocol):
    """Takes the hands of every pair, in order."""

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Take the hands of a pair, which may be none. Raises OSError where it cannot; it is closed then."""
        ...

    def close(self) -> None:
        """Finish. Raises OSError where that fails. May be called again."""
        ...

    @property
    def written(self) -> str:
        """How much of it there is, such as "12 hands"."""
        ...


def _hand_file(settings: Settings) -> HandOutput | None:
    return HandWriter(settings.save, overwrite=settings.overwrite) if settings.save else None


def _publisher(settings: Settings) -> HandOutput | None:
    if not settings.publish:
        return None
    return HandPublisher(settings.publish, load_keys(settings.keys) if settings.keys else None)


OPENERS: dict[str, Callable[[Settings], HandOutput | None]] = {"save": _hand_file, "publish": _publisher}
"""The setting of each kind of output but the recording, and what opens it where it is set, else gives None. Each raises
UserError."""


class Outputs:
    """Opens the outputs of the settings and passes each pair's hands to them. Close it once no camera sends any more."""

    def __init__(self, settings: Settings, about: RunMetadata, findings: Findings) -> None:
        """An output that fails is one of the `findings`. Raises UserError, with everything undone, where one cannot be opened."""
        self._findings = findings
        self._opened: list[tuple[HandOutput, OutputGuard]] = []
        self._streams: dict[str, QueuedOutput] = {}
        """By URL, without its token."""
        self._record: RunRecorder | None = None
        try:
            for name, open_output in OPENERS.items():
                output = open_output(settings)
                if output is not None:
                    self._add(output, name, getattr(settings, name))
            for url in settings.output:
                stream = open_stream(url)
                self._streams[url.partition("?")[0]] = stream
                self._add(stream, "output", url.partition("?")[0])
            if settings.record:
                self._record = RunRecorder(settings.record, settings, about)
                self._add(self._record, "record", settings.record)
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

    def count(self, drops: Callable[[], Mapping[str, int]]) -> None:
        """Record the drops that `drops` returns: frames dropped so far, by reason."""
        if self._record:
            self._record.drops = drops

    def begin(self, solver: Solver | None, remembered: Profile | None, found: KnownCameras | None = None) -> Solver | None:
        """Record the profile, or a first pass's cameras; returns the solver to use, whose solutions are recorded."""
        if self._record is None:
            return solver
        self._record.write_profile(remembered)
        self._record.write_found(found)
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
        for output, guard in self._opened:
            if not guard.failed:
                with guard:
                    output.take(pair, hands)
                if guard.failed:
                    with guard:
                        output.close()

    def close(self) -> None:
        """Finish all files. May be called again."""
        for output, guard in self._opened:
            with guard:
                output.close()
        slow = [f"{url} {stream.missed} hands beside {stream.written}" for url, stream in self._streams.items() if stream.missed]
        if slow:
            self._findings.add(Finding("output_missed", f"--output: receivers were too slow, and missed at {', at '.join(slow)}"))

    def _add(self, output: HandOutput, name: str, value: object) -> None:
        self._opened.append((output, OutputGuard(self._findings, name, value, lambda: output.written)))


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
