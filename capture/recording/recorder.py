"""Records what cameras sent, and what came of it, in an MCAP file, on a thread of its own that holds nobody up.

Each frame is two messages: `/left/frame`, its header as it was sent and when it arrived (JSON), then `/left/image`
(`/left/image/compressed` for JPEG), its payload as it was sent, as Foxglove's standard image. Everything else is JSON. A chunk
is closed and brought to the disk every `FLUSH_S`: whatever kills the program, more than that and what waits in the queue is
never lost.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

import msgspec

from capture import wire
from capture.recording.writer import QueuedMessage, QueuedMetadata, QueuedNote, RecordFormat, RecordingWriter
from capture.views import View
from hand.errors import UserError

FLUSH_S = 0.4
QUEUE_BYTES = 128 * 2**20
"""Images that wait to be written. Half of it is for those of pairs that were taken: without these, nothing can be replayed."""
ASIDE_BYTES = 64 * 2**20
"""Images that found no room and wait whether they will be taken; the oldest beyond are left out and counted."""
QUEUE_NOTES = 10_000


class Recorder:
    """Writes a new file. Its methods may be called from any thread and return at once, unless `lossless`.

    What the disk cannot keep up with is left out and counted, or, `lossless`, waited for.
    """

    def __init__(
        self,
        path: Path,
        topics: Mapping[str, type[msgspec.Struct]],
        *,
        format: RecordFormat = "sent",
        lossless: bool = False,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """`topics`: those of `note`, and what their messages are. Raises UserError where the file is there already, or cannot be
        made."""
        self.failure: str | None = None
        """Why nothing more is recorded, one sentence."""
        self._path = path
        self._lossless = lossless
        self._queue_bytes = queue_bytes
        self._queue: deque[QueuedMessage | QueuedNote | QueuedMetadata] = deque()
        self._waiting_bytes = 0
        self._aside: deque[QueuedMessage] = deque()
        self._lost = 0
        self._changed = threading.Condition()
        self._closed = False
        self._file = _create(path)
        self._writer = RecordingWriter(self._file, topics, format)
        # A daemon, so that a program that failed to close it still ends; what it has not written then is the last moment.
        self._thread = threading.Thread(target=self._run, name="duohand-record", daemon=True)
        self._thread.start()

    def message(self, view: View, parts: Sequence[wire.Part], received_ns: int, offset_ns: int = 0) -> None:
        """Record a camera's message; one that is malformed is left to whoever counts those."""
        self._put(QueuedMessage(view, parts, received_ns, offset_ns), sum(map(len, parts)))

    def keep(self, view: View, seq: int) -> None:
        """A pair was taken that holds this frame: it is to be recorded although there was no room for it."""
        with self._changed:
            for message in self._aside:
                if message.view == view and _seq_of(message) == seq:
                    self._aside.remove(message)
                    self._queue_or_lose(message, self._queue_bytes)
                    return

    @property
    def waiting_bytes(self) -> int:
        """Of images that are yet to be written."""
        with self._changed:
            return self._waiting_bytes

    @property
    def unrecorded(self) -> int:
        """Frames that are left out."""
        with self._changed:
            return self._lost + len(self._aside)

    def note(self, topic: str, content: msgspec.Struct, time_ns: int | None = None) -> None:
        """Record a message of one of the `topics`, now or at another time (monotonic clock)."""
        self._put(QueuedNote(topic, content, time.monotonic_ns() if time_ns is None else time_ns), 0)

    def about(self, name: str, content: dict[str, str]) -> None:
        """Record metadata."""
        self._put(QueuedMetadata(name, content), 0)

    def close(self) -> None:
        """Write what still waits, and the file's index; a file without a frame is removed. May be called again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _put(self, item: QueuedMessage | QueuedNote | QueuedMetadata, size: int) -> None:
        most = self._queue_bytes if self._lossless else self._queue_bytes // 2
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or self.failure or self._has_room(size, most))
            if self._has_room(size, most) or not isinstance(item, QueuedMessage):
                self._queue_or_lose(item, most)
                return
            self._aside.append(item)
            while sum(map(_size, self._aside)) > min(ASIDE_BYTES, self._queue_bytes):
                self._aside.popleft()
                self._lost += 1

    def _queue_or_lose(self, item: QueuedMessage | QueuedNote | QueuedMetadata, most: int) -> None:
        size = _size(item)
        if self._closed or self.failure or not self._has_room(size, most):
            self._lost += isinstance(item, QueuedMessage)
            return
        self._queue.append(item)
        self._waiting_bytes += size
        self._changed.notify_all()

    def _has_room(self, size: int, most: int) -> bool:
        return len(self._queue) < QUEUE_NOTES and (not size or self._waiting_bytes + size <= most or not self._queue)

    def _run(self) -> None:
        try:
            flushed = time.monotonic()
            while item := self._next(flushed + FLUSH_S - time.monotonic()):
                if not isinstance(item, str):
                    self._writer.write(item)
                if time.monotonic() >= flushed + FLUSH_S:
                    self._writer.flush()
                    flushed = time.monotonic()
            self._writer.finish()
        except OSError as error:
            with self._changed:
                self.failure = f"the recording {self._path} breaks off: {error.strerror}; the stream goes on without it"
                self._lost += sum(isinstance(item, QueuedMessage) for item in self._queue)
                self._queue.clear()
                self._changed.notify_all()
        finally:
            self._file.close()
            if not self._writer.frames and not self.failure:
                self._path.unlink(missing_ok=True)

    def _next(self, timeout_s: float) -> QueuedMessage | QueuedNote | QueuedMetadata | Literal["nothing"] | None:
        """The next to write; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed, max(timeout_s, 0))
            if not self._queue:
                return None if self._closed else "nothing"
            item = self._queue.popleft()
            if isinstance(item, QueuedMessage):
                self._waiting_bytes -= _size(item)
            self._changed.notify_all()
            return item


def _size(item: QueuedMessage | QueuedNote | QueuedMetadata) -> int:
    """Bytes of its image."""
    return sum(map(len, item.parts)) if isinstance(item, QueuedMessage) else 0


def _seq_of(message: QueuedMessage) -> int | None:
    try:
        return wire.unpack(message.parts).header.seq
    except wire.WireError:
        return None


def _create(path: Path) -> IO[bytes]:
    """Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except FileExistsError:
        raise UserError(f"the recording {path} is there already: give --record another name, or remove it first") from None
    except OSError as error:
        raise UserError(f"cannot record to {path}: {error.strerror}; give --record a file that can be made") from error
