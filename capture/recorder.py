"""Records what cameras sent, and what came of it, in an MCAP file, on a thread of its own that holds nobody up.

Each frame is two messages: `/left/frame`, its header as it was sent and when it arrived (JSON), then `/left/image`
(`/left/image/compressed` for JPEG), its payload as it was sent, as Foxglove's standard image. Everything else is JSON. A chunk
is closed and brought to the disk every `FLUSH_S`: whatever kills the program, more than that and what waits in the queue is
never lost.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import msgspec
from mcap.writer import CompressionType, Writer

from capture import foxglove, wire
from capture.views import View
from hand.errors import UserError

RecordFormat = Literal["sent", "jpeg"]
"""Images as they were sent, or all as JPEG: those that were not are then a twentieth of the size, and not quite the same."""
PROFILE = "duohand"
FLUSH_S = 0.4
CHUNK_BYTES = 4 * 2**20
QUEUE_BYTES = 128 * 2**20
"""Images that wait to be written. Half of it is for those of pairs that were taken: without these, nothing can be replayed."""
ASIDE_BYTES = 64 * 2**20
"""Images that found no room and wait whether they will be taken; the oldest beyond are left out and counted."""
QUEUE_NOTES = 10_000


class RecordedFrame(
    wire.FrameHeader,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="frame",
):
    """A frame's header as it was sent, and what the receiver knew of it."""

    received_ns: int
    """When it arrived; monotonic clock of the receiver's host."""
    offset_ns: int = 0
    """To be added to `captured_ns`, which is in the sender's clock, for the receiver's."""
    recoded: bool = False
    """The image was made a JPEG for the recording."""


class RecordedEnd(
    wire.End,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="end",
):
    """The end of a camera's stream."""

    received_ns: int


@dataclass(frozen=True, slots=True)
class _Message:
    view: View
    parts: Sequence[wire.Part]
    received_ns: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class _Note:
    topic: str
    content: msgspec.Struct
    time_ns: int


@dataclass(frozen=True, slots=True)
class _About:
    name: str
    content: dict[str, str]


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
        self._queue: deque[_Message | _Note | _About] = deque()
        self._waiting_bytes = 0
        self._aside: deque[_Message] = deque()
        self._lost = 0
        self._changed = threading.Condition()
        self._closed = False
        self._file = _create(path)
        self._sink = _Sink(self._file, topics, format)
        # A daemon, so that a program that failed to close it still ends; what it has not written then is the last moment.
        self._thread = threading.Thread(target=self._run, name="duohand-record", daemon=True)
        self._thread.start()

    def message(self, view: View, parts: Sequence[wire.Part], received_ns: int, offset_ns: int = 0) -> None:
        """Record a camera's message; one that is malformed is left to whoever counts those."""
        self._put(_Message(view, parts, received_ns, offset_ns), sum(map(len, parts)))

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
        self._put(_Note(topic, content, time.monotonic_ns() if time_ns is None else time_ns), 0)

    def about(self, name: str, content: dict[str, str]) -> None:
        """Record metadata."""
        self._put(_About(name, content), 0)

    def close(self) -> None:
        """Write what still waits, and the file's index; a file without a frame is removed. May be called again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _put(self, item: _Message | _Note | _About, size: int) -> None:
        most = self._queue_bytes if self._lossless else self._queue_bytes // 2
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: self._closed or self.failure or self._has_room(size, most))
            if self._has_room(size, most) or not isinstance(item, _Message):
                self._queue_or_lose(item, most)
                return
            self._aside.append(item)
            while sum(map(_size, self._aside)) > min(ASIDE_BYTES, self._queue_bytes):
                self._aside.popleft()
                self._lost += 1

    def _queue_or_lose(self, item: _Message | _Note | _About, most: int) -> None:
        size = _size(item)
        if self._closed or self.failure or not self._has_room(size, most):
            self._lost += isinstance(item, _Message)
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
                    self._sink.write(item)
                if time.monotonic() >= flushed + FLUSH_S:
                    self._sink.flush()
                    flushed = time.monotonic()
            self._sink.finish()
        except OSError as error:
            with self._changed:
                self.failure = f"the recording {self._path} breaks off: {error.strerror}; the stream goes on without it"
                self._lost += sum(isinstance(item, _Message) for item in self._queue)
                self._queue.clear()
                self._changed.notify_all()
        finally:
            self._file.close()
            if not self._sink.frames and not self.failure:
                self._path.unlink(missing_ok=True)

    def _next(self, timeout_s: float) -> "_Message | _Note | _About | Literal['nothing'] | None":
        """The next to write; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed, max(timeout_s, 0))
            if not self._queue:
                return None if self._closed else "nothing"
            item = self._queue.popleft()
            if isinstance(item, _Message):
                self._waiting_bytes -= _size(item)
            self._changed.notify_all()
            return item


class _Sink:
    """The file itself: channels, times and bytes."""

    def __init__(self, file: IO[bytes], topics: Mapping[str, type[msgspec.Struct]], format: RecordFormat) -> None:
        self.frames = 0
        """Images that were written."""
        self._file = file
        self._format = format
        # Most cameras' images are as small as they get; LZ4 notices that at once, and is the fastest on the others.
        self._writer = Writer(file, chunk_size=CHUNK_BYTES, compression=CompressionType.LZ4)
        self._writer.start(profile=PROFILE)
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        """Added to the monotonic clock, it gives the time of day, which is what viewers show."""
        self._encoder = msgspec.json.Encoder()
        self._image_channels: dict[tuple[View, foxglove.ImageSchema], int] = {}
        self._schemas: dict[str, int] = {}
        frames = {f"/{view}/frame": RecordedFrame for view in ("left", "right")}
        self._channels = {topic: self._json_channel(topic, kind) for topic, kind in {**frames, **topics}.items()}
        self._writer.add_metadata("duohand.clock", {"epoch_ns": str(self._epoch_ns)})
        self.flush()

    def write(self, item: "_Message | _Note | _About") -> None:
        match item:
            case _Message():
                self._write_message(item)
            case _Note(topic, content, time_ns):
                self._write(self._channels[topic], self._encoder.encode(content), time_ns, time_ns)
            case _About(name, content):
                self._writer.add_metadata(name, content)

    def flush(self) -> None:
        """Bring everything to the disk."""
        self._writer.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write_message(self, message: _Message) -> None:
        try:
            packet = wire.unpack(message.parts)
            recoded = self._format == "jpeg" and isinstance(packet.header, wire.FrameHeader) and packet.header.format != "jpeg"
            if recoded:
                packet = _as_jpeg(packet)
        except wire.WireError:
            return
        header, received_ns = packet.header, message.received_ns
        fields = msgspec.structs.asdict(header)
        if isinstance(header, wire.FrameHeader):
            told = RecordedFrame(**fields, received_ns=received_ns, offset_ns=message.offset_ns, recoded=recoded)
        else:
            told = RecordedEnd(**fields, received_ns=received_ns)
        captured_ns = header.captured_ns + message.offset_ns if isinstance(header, wire.FrameHeader) else received_ns
        channel = self._channels[f"/{message.view}/frame"]
        self._write(channel, self._encoder.encode(told), received_ns, captured_ns, header.seq)
        if isinstance(header, wire.FrameHeader):
            self.frames += 1
            image = foxglove.encode_image(packet, captured_ns + self._epoch_ns)
            self._write(self._image_channel(message.view, header.format), image, received_ns, captured_ns, header.seq)

    def _write(self, channel: int, data: bytes, log_ns: int, publish_ns: int, seq: int = 0) -> None:
        log_ns, publish_ns = log_ns + self._epoch_ns, max(publish_ns + self._epoch_ns, 0)
        self._writer.add_message(channel, log_ns, data, publish_ns, seq & 0xFFFFFFFF)

    def _json_channel(self, topic: str, kind: type[msgspec.Struct]) -> int:
        name = f"duohand.{kind.__name__}"
        if name not in self._schemas:
            self._schemas[name] = self._writer.register_schema(name, "jsonschema", foxglove.json_schema(kind))
        return self._writer.register_channel(topic, "json", self._schemas[name])

    def _image_channel(self, view: View, format: wire.Format) -> int:
        schema = foxglove.SCHEMA_OF[format]
        if (view, schema) not in self._image_channels:
            name = f"foxglove.{schema}"
            if name not in self._schemas:
                self._schemas[name] = self._writer.register_schema(name, "protobuf", foxglove.image_schema(schema))
            topic = f"/{view}/image" + "/compressed" * (schema == "CompressedImage")
            self._image_channels[view, schema] = self._writer.register_channel(topic, "protobuf", self._schemas[name])
        return self._image_channels[view, schema]


def _size(item: _Message | _Note | _About) -> int:
    """Bytes of its image."""
    return sum(map(len, item.parts)) if isinstance(item, _Message) else 0


def _seq_of(message: _Message) -> int | None:
    try:
        return wire.unpack(message.parts).header.seq
    except wire.WireError:
        return None


def _as_jpeg(packet: wire.Packet) -> wire.Packet:
    """The same frame, its image encoded. Raises WireError."""
    header = packet.header
    assert isinstance(header, wire.FrameHeader)
    image = wire.decode(packet, 0).image
    parts = wire.encode(header.view, header.seq, header.captured_ns, image, "jpeg", header.fov_deg)
    return wire.Packet(msgspec.structs.replace(header, format="jpeg"), parts[2])


def _create(path: Path) -> IO[bytes]:
    """Raises UserError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except FileExistsError:
        raise UserError(f"the recording {path} is there already: give --record another name, or remove it first") from None
    except OSError as error:
        raise UserError(f"cannot record to {path}: {error.strerror}; give --record a file that can be made") from error
