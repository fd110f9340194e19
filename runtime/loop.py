"""The live loop: one thread turns pairs into hands, the main thread shows the newest, and neither blocks the other."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from capture.frames import FramePair
from runtime.reporting.report import Report
from runtime.types import DualHand

POLL_S = 0.1
"""Poll interval at which waits check whether to stop."""

SHOW_PERIOD_S = 1 / 30
"""Live, the viewer is given at most 30 pictures a second."""


class PairSource(Protocol):
    """Source of frame pairs."""

    @property
    def ended(self) -> bool:
        """Whether no further pair will come after those already queued."""
        ...

    def next_pair(self, timeout_s: float) -> FramePair | None: ...


class PairProcessor(Protocol):
    """Turns a pair into hands, such as a `Pipeline`."""

    def step(self, pair: FramePair) -> list[DualHand]: ...


class Screen(Protocol):
    """Shows a pair and its hand."""

    def show(self, pair: FramePair, hand: DualHand | None, status: str) -> bool:
        """Show them; False once the window was closed."""
        ...

    def close(self) -> None: ...


class Output(Protocol):
    """Takes hands besides the screen."""

    def take(self, pair: FramePair, hands: list[DualHand]) -> None:
        """Take the hands of a pair, which may be none."""
        ...


class StopFlag:
    """Asks the loop to stop. A plain flag: an Event's lock may be held by the thread that a signal interrupts."""

    requested = False


@dataclass(frozen=True, slots=True)
class ViewerFrame:
    """One pair for the viewer, with its hand and the status line."""

    pair: FramePair
    hand: DualHand | None
    status: str


class ViewerQueue:
    """Queue to the viewer: the newest only, or every one in order with at most 2 queued (the sender blocks)."""

    def __init__(self, *, every: bool):
        self._items: deque[ViewerFrame] = deque()
        self._every = every
        self._changed = threading.Condition()

    def put(self, item: ViewerFrame, stop: StopFlag) -> None:
        """Enqueue; with `every`, block while 2 items are queued, until `stop` is requested."""
        with self._changed:
            if not self._every:
                self._items.clear()
            while len(self._items) >= 2 and not stop.requested:
                self._changed.wait(POLL_S)
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> ViewerFrame | None:
        with self._changed:
            if self._changed.wait_for(lambda: self._items, timeout_s):
                self._changed.notify_all()
                return self._items.popleft()
            return None


class HandThread(threading.Thread):
    """Takes pairs until they end or `stop` is requested; an exception that ends it is kept in `error`."""

    def __init__(self, take: Callable[[FramePair], None], pairs: PairSource, first: FramePair, stop: StopFlag):
        super().__init__(name="hands")
        self.error: BaseException | None = None
        self._take = take
        self._pairs = pairs
        self._first = first
        self._stop_flag = stop

    def run(self) -> None:
        try:
            self._take(self._first)
            while not self._stop_flag.requested:
                pair = self._pairs.next_pair(POLL_S)
                if pair is not None:
                    self._take(pair)
                elif self._pairs.ended:
                    return
        except BaseException as error:  # raised again on the main thread, by `run_loop`
            self.error = error


def first_pair(pairs: PairSource, stop: StopFlag) -> FramePair | None:
    """Wait for the first pair; None where none comes or `stop` is requested before."""
    while not stop.requested:
        pair = pairs.next_pair(POLL_S)
        if pair is not None:
            return pair
        if pairs.ended:
            return None
    return None


def run_loop(
    first: FramePair,
    pairs: PairSource,
    pipeline: PairProcessor,
    report: Report,
    *,
    make_screen: Callable[[], Screen] | None = None,
    outputs: Sequence[Output] = (),
    every_pair: bool = False,
    on_pair: Callable[[], object] = lambda: None,
    seconds: float | None = None,
    stop: StopFlag,
) -> None:
    """Run until the pairs end, the window is closed, `seconds` are over or `stop` is requested.

    `make_screen` is called on this thread, which must be the main one, while hands are already computed: a window takes time
    to open. `on_pair` is called after each pair. Raises the exception that the pipeline raised.
    """
    queue = ViewerQueue(every=every_pair) if make_screen else None

    def take(pair: FramePair) -> None:
        started_ns = time.monotonic_ns()
        hands = pipeline.step(pair)
        report.add(pair, hands, started_ns, time.monotonic_ns())
        for output in outputs:
            output.take(pair, hands)
        if queue:
            queue.put(ViewerFrame(pair, hands[0] if hands else None, report.status()), stop)
        on_pair()

    thread = HandThread(take, pairs, first, stop)
    deadline = time.monotonic() + seconds if seconds else None
    thread.start()
    screen = None
    try:
        if make_screen and queue:
            screen = make_screen()
            _show(screen, queue, report, thread, None if every_pair else SHOW_PERIOD_S, deadline, stop)
        else:
            _wait(thread, deadline, stop)
    finally:
        stop.requested = True
        thread.join()
        if screen:
            screen.close()
    if thread.error is not None:
        raise thread.error


def _show(
    screen: Screen,
    queue: ViewerQueue,
    report: Report,
    thread: HandThread,
    period_s: float | None,
    deadline: float | None,
    stop: StopFlag,
) -> None:
    shown: ViewerFrame | None = None
    if _over(deadline, stop):
        # The screen took longer to open than the run lasts: a video or picture of it holds one frame nevertheless.
        last = queue.get(POLL_S)
        if last:
            screen.show(last.pair, last.hand, last.status)
        return
    while not _over(deadline, stop):
        ended = not thread.is_alive()
        new = queue.get(0 if ended else POLL_S)
        if new is None and ended:
            return
        # A camera that pauses must not freeze the window, but a video of every pair must not repeat a pair.
        shown = new or (shown if period_s else None)
        began = time.monotonic()
        if shown and not screen.show(shown.pair, shown.hand, shown.status):
            return
        if new and new.hand:
            timings = replace(new.hand.timings, shown_ns=time.monotonic_ns())
            report.add_shown(replace(new.hand, timings=timings))
        if period_s:
            # Sleeping as long as it draws, the viewer never takes more than half a core from cameras and network.
            spent = time.monotonic() - began
            time.sleep(max(period_s - spent, spent))


def _wait(thread: HandThread, deadline: float | None, stop: StopFlag) -> None:
    while thread.is_alive() and not _over(deadline, stop):
        thread.join(POLL_S)


def _over(deadline: float | None, stop: StopFlag) -> bool:
    return stop.requested or (deadline is not None and time.monotonic() >= deadline)
