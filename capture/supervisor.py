"""The capture processes of one stream: opened together, and, for live cameras, restarted when they end."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from capture.masking import masked
from capture.process import CameraJob, CameraProcess
from capture.views import View
from hand.errors import UserError

START_DELAY_NS = 20_000_000
"""From the start command until the first frame: both processes have received it by then."""
_OPEN_TIMEOUT_S = 90.0
"""The synthetic cameras render their loop when they are opened: seconds, on a busy machine more."""

log = logging.getLogger(__name__)


class Backoff:
    """Exponential backoff: the first retry at once, later ones after pauses that double, until a try has lasted."""

    FIRST_NS = 250_000_000
    MAX_NS = 2_000_000_000
    LASTED_NS = 5_000_000_000
    """A camera that ran this long has not failed: the next retry is a first one."""

    def __init__(self) -> None:
        self._pause_ns = 0

    def next_ns(self, now_ns: int, ran_ns: int) -> int:
        """Time of the next retry after a try that has ended now, having run for `ran_ns`."""
        if ran_ns >= self.LASTED_NS:
            self._pause_ns = 0
        due_ns = now_ns + self._pause_ns
        self._pause_ns = min(max(2 * self._pause_ns, self.FIRST_NS), self.MAX_NS)
        return due_ns


@dataclass(slots=True)
class _Slot:
    """One camera's process, or the time of its restart."""

    job: CameraJob
    backoff: Backoff
    process: CameraProcess | None
    opened_ns: int | None = None
    """Start of its frames; None while it opens."""
    started_ns: int = 0
    due_ns: int = 0
    failed: bool = False
    """It could not be opened, and ends by itself."""
    logged: str = ""
    """The latest sentence about it in the log."""


class Supervisor:
    """Owns the processes. `tend`, to be called often, does what is due and never blocks."""

    def __init__(self, jobs: Iterable[CameraJob], clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Starts the processes."""
        self.restarts: Counter[View] = Counter()
        """Count of restarts by view."""
        self._clock_ns = clock_ns
        self._slots: dict[View, _Slot] = {}
        try:
            for job in jobs:
                self._slots[job.view] = _Slot(job, Backoff(), CameraProcess(job), started_ns=clock_ns())
        except BaseException:
            self.close()
            raise

    def open(self) -> list[str]:
        """Wait until all cameras are open, then start their frames; their notes. Raises UserError for the first that fails."""
        deadline = time.monotonic() + _OPEN_TIMEOUT_S
        notes = []
        for slot in self._slots.values():
            assert slot.process is not None
            note = slot.process.wait_ready(max(0.0, deadline - time.monotonic()))
            if note is not None:
                notes.append(f"{slot.job.view} {note}")
                slot.logged = notes[-1]
        # One start for all: files and synthetic cameras take their times from it.
        start_ns = self._clock_ns() + START_DELAY_NS
        for slot in self._slots.values():
            assert slot.process is not None
            slot.process.go(start_ns)
            slot.opened_ns = start_ns
            log.debug(f"{slot.job.view} camera: {masked(slot.job.source)} is open, process {slot.process.pid}")
        return notes

    def dead(self) -> list[View]:
        """Views whose process has ended."""
        return [view for view, slot in self._slots.items() if slot.process is not None and not slot.process.alive]

    def reap(self, view: View) -> str:
        """Collect a process that has ended; the reason. A lasting camera gets a new process when that is due."""
        slot = self._slots[view]
        assert slot.process is not None
        why = slot.process.exit_reason()
        log.debug(f"{view} camera: {why}")
        if slot.job.lasting:
            slot.process.close()
            slot.process = None
            now_ns = self._clock_ns()
            slot.due_ns = slot.backoff.next_ns(now_ns, 0 if slot.opened_ns is None else now_ns - slot.opened_ns)
        return why

    def tend(self, silent_ns: Callable[[View, int], int], longest_ns: int) -> None:
        """Restart processes that are due, start frames of opened cameras, kill processes silent for longer than `longest_ns`."""
        now_ns = self._clock_ns()
        for view, slot in self._slots.items():
            if not slot.job.lasting:
                continue
            if slot.process is None:
                if now_ns >= slot.due_ns:
                    self._start(slot, now_ns)
            elif slot.opened_ns is None:
                if not slot.failed and slot.process.has_answered():
                    self._begin(slot, slot.process)
                elif now_ns - slot.started_ns > _OPEN_TIMEOUT_S * 1e9:
                    slot.process.kill()
            elif min(now_ns - slot.opened_ns, silent_ns(view, now_ns)) > longest_ns:
                self._log(slot, logging.WARNING, f"{view} camera: its process hangs and is ended")
                slot.process.kill()

    def close(self) -> None:
        """Leave no process. May be called again."""
        processes = [slot.process for slot in self._slots.values() if slot.process is not None]
        # All are asked before any is awaited, so that they close at the same time.
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.close()
        self._slots.clear()

    def _start(self, slot: _Slot, now_ns: int) -> None:
        try:
            slot.process = CameraProcess(slot.job)
        except OSError as error:
            # The system cannot start another process now.
            self._log(slot, logging.WARNING, f"{slot.job.view} camera: its process cannot be started: {error.strerror}")
            slot.due_ns = slot.backoff.next_ns(now_ns, 0)
            return
        slot.opened_ns, slot.failed, slot.started_ns = None, False, now_ns
        self.restarts[slot.job.view] += 1
        log.debug(f"{slot.job.view} camera: process {slot.process.pid} is started, restart {self.restarts[slot.job.view]}")

    def _begin(self, slot: _Slot, process: CameraProcess) -> None:
        try:
            note = process.wait_ready(0)
            slot.opened_ns = self._clock_ns() + START_DELAY_NS
            process.go(slot.opened_ns)
        except UserError as error:
            slot.opened_ns, slot.failed = None, True
            self._log(slot, logging.WARNING, str(error))
            return
        if note is not None:
            self._log(slot, logging.INFO, f"{slot.job.view} {note}")

    def _log(self, slot: _Slot, level: int, sentence: str) -> None:
        """A camera that stays away is logged once, not at every try."""
        log.log(level if sentence != slot.logged else logging.DEBUG, sentence)
        slot.logged = sentence
