"""Two cameras in, frame pairs out: owns the capture processes, the receiving thread and what they leave behind."""

import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import zmq

from capture.frames import FramePair
from capture.intake import Intake
from capture.process import CameraJob, CameraProcess
from capture.sources import DEFAULT_MODE, DeviceMode, Feed, Spec, parse_source
from capture.views import VIEWS, PerView, View
from capture.wire import PAYLOAD_LIMIT, Part
from hand.errors import UserError

_QUEUED_PAIRS = 4
_POLL_MS = 50
_BATCH = 16
_OPEN_TIMEOUT_S = 90.0
"""The synthetic cameras draw their loop on opening: seconds, on a busy machine more."""
_START_DELAY_NS = 20_000_000

Tap = Callable[[View, Sequence[Part], int], None]
"""Told of every message of a view as it came, and when, before anything is made of it."""


class PairStream:
    """The pairs of two cameras, each a SOURCE as `capture.sources` reads it. A context manager.

    Live (the default) only the newest unread pair is kept. With `every_pair` files play at the reader's pace, cameras
    are held up rather than dropped, and all pairs come in order. A view that gives no frame for `silence_s` counts as
    dead. `tolerance_ns` is the largest skew of a pair; None learns it.
    """

    def __init__(
        self,
        sources: PerView[str],
        *,
        every_pair: bool = False,
        tolerance_ns: int | None = None,
        silence_s: float = 10.0,
        mode: DeviceMode = DEFAULT_MODE,
    ) -> None:
        """Raises UserError for a source that is not one."""
        self.sources = sources
        self._specs = PerView.of(lambda view: _parse(view, sources[view]))
        self._every_pair = every_pair
        self._tolerance_ns = tolerance_ns
        self._silence_ns = round(silence_s * 1e9)
        self._mode = mode
        self.tap: Tap | None = None
        """Called on the receiving thread; to be set before the stream is entered."""
        self.notes: list[str] = []
        """One sentence for each thing a camera did otherwise than asked."""

        self._directory: Path | None = None
        self._processes: dict[View, CameraProcess] = {}
        self._context: zmq.Context | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._pairs: deque[FramePair] = deque()
        self._finished = False
        # Replaced whole by the receiving thread, so that a reader never sees half a change.
        self._drops: dict[str, int] = {}
        self._received = PerView(0, 0)
        self._failure: str | None = None
        self._complaint: str | None = None

    def __enter__(self) -> "PairStream":
        """Open both cameras. Raises UserError, with everything undone, if one cannot be."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def next_pair(self, timeout_s: float) -> FramePair | None:
        """The next pair, each at most once; None if none came in time or none will come (`ended`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._pairs or self._finished, timeout_s)
            if not self._pairs:
                return None
            pair = self._pairs.popleft()
            self._changed.notify_all()
            return pair

    @property
    def ended(self) -> bool:
        """Whether all pairs that will ever come have been read."""
        with self._changed:
            return self._finished and not self._pairs

    @property
    def failure(self) -> str | None:
        """Why the stream ended if it should not have: one sentence."""
        return self._failure

    @property
    def complaint(self) -> str | None:
        """What was wrong with the latest malformed message."""
        return self._complaint

    @property
    def received(self) -> PerView[int]:
        """Frames that arrived, by view: in pairs that came out, in `drops`, or still waiting."""
        return self._received

    @property
    def drops(self) -> dict[str, int]:
        """Frames by reason (both frames of a pair that was replaced unread); `malformed` counts messages."""
        return self._drops

    def close(self) -> None:
        """Leave no process, thread, socket or file behind. May be called again."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        # Asked first and awaited after, both cameras let go at the same time.
        for process in self._processes.values():
            process.ask_to_stop()
        for process in self._processes.values():
            process.close()
        self._processes.clear()
        if self._context is not None:
            self._context.destroy(linger=0)
            self._context = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        with self._changed:
            self._finished = True

    def _open(self) -> None:
        assert self._context is None and not self._stop.is_set(), "a PairStream is entered once"
        self._directory = Path(tempfile.mkdtemp(prefix="duohand-"))
        endpoints = PerView.of(self._endpoint)
        jobs = [
            CameraJob(view, self.sources[view], endpoints[view], self._every_pair, self._mode)
            for view in VIEWS
            if not isinstance(self._specs[view], Feed)
        ]
        for job in jobs:
            self._processes[job.view] = CameraProcess(job)
        self._context = zmq.Context()
        sockets = PerView.of(lambda view: self._subscribe(view, endpoints[view]))
        deadline = time.monotonic() + _OPEN_TIMEOUT_S
        for process in self._processes.values():
            note = process.wait_ready(max(0.0, deadline - time.monotonic()))
            if note is not None:
                self.notes.append(f"{process.job.view} {note}")
        # One start for both: files and synthetic cameras take their times from it.
        start_ns = time.monotonic_ns() + _START_DELAY_NS
        for process in self._processes.values():
            process.go(start_ns)
        self._thread = threading.Thread(target=self._receive, args=(sockets,), name="duohand-receive")
        self._thread.start()

    def _endpoint(self, view: View) -> str:
        spec = self._specs[view]
        return spec.endpoint if isinstance(spec, Feed) else f"ipc://{self._directory}/{view}"

    def _subscribe(self, view: View, endpoint: str) -> zmq.Socket:
        assert self._context is not None
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.rcvhwm = _QUEUED_PAIRS
        # ZeroMQ closes a connection that sends more, before the memory is taken. Messages up to here are counted.
        socket.maxmsgsize = 2 * PAYLOAD_LIMIT
        socket.ipv6 = "[" in endpoint
        socket.subscribe(view)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise UserError(f"{view} camera: address {endpoint!r} cannot be used: {error.strerror}; give another") from error
        return socket

    def _receive(self, sockets: PerView[zmq.Socket]) -> None:
        """The receiving thread: read, hand over, until no pair can come."""
        intake = Intake(
            self.sources,
            newest=not self._every_pair,
            started_ns=time.monotonic_ns(),
            silence_ns=self._silence_ns,
            tolerance_ns=self._tolerance_ns,
        )
        try:
            while not self._stop.is_set() and not intake.ended:
                # Asked before the sockets are read: what a dead process has sent is read before it is given up.
                dead = [view for view, process in self._processes.items() if not process.alive]
                poller = zmq.Poller()
                for view, socket in sockets.items():
                    if intake.wants(view):
                        poller.register(socket, zmq.POLLIN)
                ready = dict(poller.poll(_POLL_MS))
                for view, socket in sockets.items():
                    if socket in ready:
                        messages, received_ns = self._read(socket), time.monotonic_ns()
                        for message in messages if self.tap else ():
                            self.tap(view, message, received_ns)
                        self._hand_over(intake, intake.take(view, messages, received_ns))
                    elif view in dead and intake.wants(view):
                        self._hand_over(intake, intake.lost(view, self._processes[view].obituary()))
                self._hand_over(intake, intake.check_silence(time.monotonic_ns()))
        finally:
            for socket in sockets:
                socket.close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _read(self, socket: zmq.Socket) -> list[list[memoryview]]:
        """What waits on a readable socket: one message if every pair counts, else all, for the newest to win."""
        messages = []
        try:
            while len(messages) < (1 if self._every_pair else _BATCH):
                messages.append([part.buffer for part in socket.recv_multipart(zmq.NOBLOCK, copy=False)])
        except zmq.Again:
            return messages
        return messages

    def _hand_over(self, intake: Intake, pairs: list[FramePair]) -> None:
        paired_ns = time.monotonic_ns()
        with self._changed:
            for pair in pairs:
                if self._every_pair and len(self._pairs) >= _QUEUED_PAIRS:
                    self._changed.wait_for(lambda: len(self._pairs) < _QUEUED_PAIRS or self._stop.is_set())
                    intake.held_up(time.monotonic_ns())
                if not self._every_pair and self._pairs:
                    self._pairs.clear()
                    intake.drops["superseded"] += 2
                self._pairs.append(replace(pair, paired_ns=paired_ns))
            self._drops, self._received = intake.all_drops, intake.received
            self._failure, self._complaint = intake.failure, intake.complaint
            if pairs:
                self._changed.notify_all()


def _parse(view: View, source: str) -> Spec:
    try:
        return parse_source(source)
    except UserError as error:
        raise UserError(f"{view} camera: {error}") from error
