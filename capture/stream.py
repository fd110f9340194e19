"""Frame pairs of two cameras: owns the capture processes, the receiving thread and their temporary files."""

import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import zmq

from capture.clip_timing import ClipTiming
from capture.clock import ClockReading
from capture.frame_check import CheckedView, FrameCheck
from capture.frame_rate import SlowCamera
from capture.frame_receiver import FrameReceiver
from capture.frames import FramePair
from capture.masking import masked
from capture.pair_sources import check_headers, read_sources
from capture.process import CameraJob
from capture.sources.base import DEFAULT_MODE, DeviceMode
from capture.supervisor import Supervisor
from capture.transport.feeds import Feeds
from capture.transport.keys import Keys
from capture.views import VIEWS, PerView, View
from capture.wire import Part
from hand.findings import Findings
from hand.folders import use_short_temporary_folder

_QUEUED_PAIRS = 4
_POLL_MS = 50
_BATCH = 16
_WIDEN_NS = 500_000_000
"""A feed that sends nothing of its view for this long after the start is asked for all that it sends."""

Tap = Callable[[View, Sequence[Part], int, int], None]
"""Called with each message before it is decoded: view, parts, arrival time, and this host's clock minus the sender's, ns."""


class PairStream:
    """The pairs of two cameras, each a SOURCE as `capture.sources.registry` reads it. A context manager.

    Live (the default) only the newest unread pair is kept, and a camera that stops is waited for: meanwhile pairs hold the other
    camera's frames and a stand-in. With `every_pair` files play at the reader's pace, cameras wait rather than drop frames, and
    all pairs come in order. A stream without a frame for `silence_s` counts as dead. `tolerance_ns` is the largest skew of a
    pair; None learns it. `keys` secure feeds over TCP.
    """

    def __init__(
        self,
        sources: PerView[str],
        *,
        every_pair: bool = False,
        tolerance_ns: int | None = None,
        silence_s: float = 10.0,
        mode: DeviceMode = DEFAULT_MODE,
        keys: Keys | None = None,
        findings: Findings | None = None,
        timing: PerView[ClipTiming] | None = None,
    ) -> None:
        """Raises UserError for a source that is not one, or that is no clip where there is a `timing` for two clips."""
        self.findings = findings or Findings()
        """What is found out of the cameras while they stream."""
        self.sources = sources
        self._specs = read_sources(sources, keys, timing, self.findings)
        self._timing = timing
        self.of_clips = all(spec.timed(ClipTiming()) is not None for spec in self._specs)
        """Whether both are clips on disk, each with times from its own beginning."""
        self._every_pair = every_pair
        self._tolerance_ns = tolerance_ns
        self._silence_ns = round(silence_s * 1e9)
        self._mode = mode
        self.tap: Tap | None = None
        """Called on the receiving thread; to be set before the stream is entered."""
        self._keys = keys
        self._slow_cameras: dict[View, SlowCamera] = {
            view: SlowCamera(view, mode.fps)
            for view in VIEWS
            # Others are not asked for a rate.
            if self._specs[view].device is not None
        }
        self.notes: list[str] = []
        """What each camera reported when it was opened, such as a mode that it refused; a sentence each."""

        self._directory: Path | None = None
        self._cameras: Supervisor | None = None
        self._context: zmq.Context | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._pairs: deque[FramePair] = deque()
        self._finished = False
        # Replaced whole by the receiving thread, so that a reader never sees half a change.
        self._drops: dict[str, int] = {}
        self._faults: dict[str, int] = {}
        self._clocks: dict[View, ClockReading] = {}
        self._received = PerView(0, 0)
        self._failure: str | None = None
        self._complaint: str | None = None

    def __enter__(self) -> "PairStream":
        """Open both cameras. Raises UserError, with everything undone, if one cannot be opened."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def next_pair(self, timeout_s: float) -> FramePair | None:
        """The next pair, each at most once; None after the timeout, and where none will come (`ended`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._pairs or self._finished, timeout_s)
            if not self._pairs:
                return None
            pair = self._pairs.popleft()
            self._changed.notify_all()
            return pair

    @property
    def ended(self) -> bool:
        """Whether the last pair has been read."""
        with self._changed:
            return self._finished and not self._pairs

    @property
    def failure(self) -> str | None:
        """Why the stream ended unexpectedly, one sentence."""
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

    @property
    def faults(self) -> dict[str, int]:
        """Counts by fault: a view was absent (`left_absent`), its process was restarted (`left_restarts`), its clock was set
        (`left_clock_steps`).
        """
        return self._faults

    @property
    def clocks(self) -> dict[View, ClockReading]:
        """Offsets of other hosts' clocks to this host's, for each view that has one."""
        return self._clocks

    def close(self) -> None:
        """Leave no process, thread, socket or file behind. May be called again."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
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
        use_short_temporary_folder()
        check_headers(self._specs, self._timing, self.findings)
        self._directory = Path(tempfile.mkdtemp(prefix="duohand-"))
        endpoints = PerView.of(self._endpoint)
        jobs = [
            CameraJob(
                view,
                self.sources[view],
                endpoints[view],
                self._every_pair,
                self._mode,
                self._lasts(view),
                self._timing and self._timing[view],
            )
            for view in VIEWS
            if self._specs[view].feed_endpoint is None
        ]
        self._cameras = Supervisor(jobs)
        self._context = zmq.Context()
        feeds = Feeds(self._context, endpoints, self._specs, self._keys, self.findings)
        self.notes += self._cameras.open()
        self._thread = threading.Thread(target=self._receive, args=(feeds, self._cameras), name="duohand-receive")
        self._thread.start()

    def _endpoint(self, view: View) -> str:
        return self._specs[view].feed_endpoint or f"ipc://{self._directory}/{view}"

    def _lasts(self, view: View) -> bool:
        """Whether a view that stops is waited for: a recording that stops is at its end."""
        return not self._every_pair and self._specs[view].lasting

    def _checked(self, view: View) -> CheckedView:
        return CheckedView(self.sources[view], self._specs[view].feed_endpoint is not None, self._lasts(view))

    def _receive(self, feeds: Feeds, cameras: Supervisor) -> None:
        """The receiving thread: reads and hands over, until no further pair can come."""
        started_ns = time.monotonic_ns()
        check = FrameCheck(
            PerView.of(self._checked),
            self.findings,
            started_ns,
            live=not self._every_pair,
            wall_minus_monotonic_ns=time.time_ns() - started_ns,
            why_silent=feeds.why_silent,
        )
        receiver = FrameReceiver(
            self.sources.map(masked),
            newest=not self._every_pair,
            started_ns=started_ns,
            silence_ns=self._silence_ns,
            tolerance_ns=self._tolerance_ns,
            lasting=PerView.of(self._lasts),
            clock_of=feeds.clock,
            check=check,
            one_socket=self._specs.left.feed_endpoint is not None
            and self._specs.left.feed_endpoint == self._specs.right.feed_endpoint,
        )
        try:
            while not self._stop.is_set() and not receiver.ended:
                # Before the sockets are read: what a process sent before it died is read before it is reaped.
                dead = cameras.dead()
                ready = feeds.poll([view for view in VIEWS if receiver.wants(view)], _POLL_MS)
                for view, socket in feeds.sockets.items():
                    if view in ready:
                        messages, received_ns = self._read(socket), time.monotonic_ns()
                        self._show(feeds, view, messages, received_ns)
                        self._hand_over(receiver, receiver.take(view, messages, received_ns))
                    elif view in dead and (self._lasts(view) or receiver.wants(view)):
                        self._hand_over(receiver, receiver.lost(view, cameras.reap(view), time.monotonic_ns()))
                cameras.tend(receiver.silent_ns, self._silence_ns)
                feeds.tend()
                if time.monotonic_ns() - started_ns > _WIDEN_NS:
                    for view in VIEWS:
                        feeds.widen(view, wide=not receiver.has_messages(view))
                self._hand_over(receiver, receiver.check_silence(time.monotonic_ns()))
                self._report(receiver, cameras, feeds)
        finally:
            feeds.close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _show(self, feeds: Feeds, view: View, messages: list[list[memoryview]], received_ns: int) -> None:
        """Pass messages to the tap."""
        if self.tap is None:
            return
        clock = feeds.clocks().get(view)
        for message in messages:
            self.tap(view, message, received_ns, -clock.offset_ns if clock else 0)

    def _read(self, socket: zmq.Socket) -> list[list[memoryview]]:
        """Messages that wait on a readable socket: one if every pair counts, else all, of which the newest is used."""
        messages = []
        try:
            while len(messages) < (1 if self._every_pair else _BATCH):
                messages.append([part.buffer for part in socket.recv_multipart(zmq.NOBLOCK, copy=False)])
        except zmq.Again:
            return messages
        return messages

    def _hand_over(self, receiver: FrameReceiver, pairs: list[FramePair]) -> None:
        paired_ns = time.monotonic_ns()
        with self._changed:
            for pair in pairs:
                if self._every_pair and len(self._pairs) >= _QUEUED_PAIRS:
                    self._changed.wait_for(lambda: len(self._pairs) < _QUEUED_PAIRS or self._stop.is_set())
                    receiver.held_up(time.monotonic_ns())
                if not self._every_pair and self._pairs:
                    receiver.drops["superseded"] += sum(1 + pair.complete for pair in self._pairs)
                    self._pairs.clear()
                self._pairs.append(replace(pair, paired_ns=paired_ns))
            self._drops, self._received = receiver.all_drops, receiver.received
            self._failure, self._complaint = receiver.failure, receiver.complaint
            if pairs:
                self._changed.notify_all()
        self._watch_rates(pairs)

    def _watch_rates(self, pairs: list[FramePair]) -> None:
        for view, camera in self._slow_cameras.items():
            for pair in pairs:
                if not pair[view].absent:
                    camera.add(pair[view])
            if pairs and camera.finding:
                self.findings.add(camera.finding)
            elif pairs:
                self.findings.withdraw(SlowCamera.KIND, view)

    def _report(self, receiver: FrameReceiver, cameras: Supervisor, feeds: Feeds) -> None:
        """Publish the counts."""
        restarts = {f"{view}_restarts": count for view, count in cameras.restarts.items()}
        self._faults = {**receiver.faults, **restarts, **feeds.steps()}
        self._clocks = feeds.clocks()
