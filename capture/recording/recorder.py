"""Records camera messages and results in an MCAP file, on a thread of its own, without blocking the callers.

Each frame is two messages: `/left/frame`, its header as it was sent and when it arrived (JSON), then `/left/image`
(`/left/image/compressed` for JPEG), its payload as it was sent, as Foxglove's standard image. Everything else is JSON. A chunk
is closed and flushed to the disk every `FLUSH_S`: a program that is killed loses at most that time and what waits in the queue.
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
from hand.files import part_of

FLUSH_S = 0.4
QUEUE_BYTES = 128 * 2**20
"""Images that wait to be written. Half of it is reserved for frames of processed pairs: a replay needs these."""
ASIDE_BYTES = 64 * 2**20
"""Images without room in the queue, which are kept in case their pair is processed; the oldest beyond are dropped and counted."""
QUEUE_NOTES = 10_000


class Recorder:
    """Writes a new file. Its methods may be called from any thread and return at once, unless `lossless`.

    Where the disk is too slow, messages are dropped and counted, or, `lossless`, the caller waits.
    """

    def __init__(
        self,
        path: Path,
        topics: Mapping[str, type[msgspec.Struct]],
        *,
        format: RecordFormat = "sent",
        lossless: bool = False,
        queue_bytes: int = QUEUE_BYTES,
        overwrite: bool = False,
    ) -> None:
        """`topics`: those of `note`, with the types of their messages. `overwrite`: a recording of this name is replaced once the
        new one is closed. Raises UserError where the file cannot be made, or is there already and is not to be overwritten.
        """
        self.failure: OSError | None = None
        """Why nothing more is recorded."""
        self._place = path.resolve()
        self._path = part_of(self._place) if overwrite and self._place.exists() else self._place
        self._lossless = lossless
        self._queue_bytes = queue_bytes
        self._queue: deque[QueuedMessage | QueuedNote | QueuedMetadata] = deque()
        self._waiting_bytes = 0
        self._aside: deque[QueuedMessage] = deque()
        self._lost = 0
        self._changed = threading.Condition()
        self._closed = False
        self._file = _create(path, self._path)
        self._writer = RecordingWriter(self._file, topics, format)
        # A daemon, so that a program that did not close it still ends; then the queue is lost.
        self._thread = threading.Thread(target=self._run, name="duohand-record", daemon=True)
        self._thread.start()

    def message(self, view: View, parts: Sequence[wire.Part], received_ns: int, offset_ns: int = 0) -> None:
        """Record a camera's message; malformed ones are not recorded."""
        self._put(QueuedMessage(view, parts, received_ns, offset_ns), sum(map(len, parts)))

    def keep(self, view: View, seq: int) -> None:
        """Record a frame for which there was no room: its pair is processed."""
        with self._changed:
            for message in self._aside:
                if message.view == view and _seq_of(message) == seq:
                    self._aside.remove(message)
                    self._queue_or_lose(message, self._queue_bytes)
                    return

    @property
    def waiting_bytes(self) -> int:
        """Size of the images that wait to be written."""
        with self._changed:
            return self._waiting_bytes

    @property
    def frames(self) -> int:
        """Count of frames that were written."""
        return self._writer.frames

    @property
    def unrecorded(self) -> int:
        """Count of frames that were not recorded."""
        with self._changed:
            return self._lost + len(self._aside)

    def note(self, topic: str, content: msgspec.Struct, time_ns: int | None = None) -> None:
        """Record a message of one of the `topics`, at `time_ns` (monotonic clock) or now."""
        self._put(QueuedNote(topic, content, time.monotonic_ns() if time_ns is None else time_ns), 0)

    def about(self, name: str, content: dict[str, str]) -> None:
        """Record metadata."""
        self._put(QueuedMetadata(name, content), 0)

    def close(self) -> None:
        """Write the queue and the file's index; a file without a frame is removed. May be called again."""
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
            try:
                self._write_queue()
            finally:
                self._file.close()
        except OSError as error:
            self._break_off(error)
        try:
            if not self._writer.frames:
                self._path.unlink(missing_ok=True)
            elif self._path != self._place:
                self._path.replace(self._place)
        except OSError as error:
            self._break_off(error)

    def _write_queue(self) -> None:
        """Write until the recorder is closed. Raises OSError."""
        flushed = time.monotonic()
        while item := self._next(flushed + FLUSH_S - time.monotonic()):
            if not isinstance(item, str):
                self._writer.write(item)
            if time.monotonic() >= flushed + FLUSH_S:
                self._writer.flush()
                flushed = time.monotonic()
        self._writer.finish()

    def _break_off(self, error: OSError) -> None:
        with self._changed:
            self.failure = error
            self._lost += sum(isinstance(item, QueuedMessage) for item in self._queue)
            self._queue.clear()
            self._changed.notify_all()

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


def _create(path: Path, at: Path) -> IO[bytes]:
    """Raises UserError."""
    try:
        at.parent.mkdir(parents=True, exist_ok=True)
        return at.open("xb")
    except FileExistsError:
        raise UserError(f"the recording {path} is there already: give --record another name, or remove it first") from None
    except OSError as error:
        raise UserError(f"cannot record to {path}: {error.strerror}; give --record a file that can be made") from error
