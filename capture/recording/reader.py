"""Reads recordings from the beginning as far as they are intact: a truncated recording can still be read."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import lz4.frame
import msgspec
import zstandard
from google.protobuf.message import DecodeError
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Footer, Header, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from capture import wire
from capture.recording import foxglove
from capture.recording.writer import CHUNK_BYTES, PROFILE, RecordedEnd, RecordedFrame
from capture.views import View
from hand.errors import UserError

_RECORD_LIMIT = wire.PAYLOAD_LIMIT + 2 * CHUNK_BYTES
"""Largest record, and largest chunk once it is decompressed: a small file cannot claim gigabytes."""
_DAMAGE = (
    McapError,
    struct.error,
    ValueError,
    RuntimeError,  # of lz4
    zstandard.ZstdError,
    msgspec.MsgspecError,
    DecodeError,
    MemoryError,
    OverflowError,  # of a length that no stream can have
    KeyError,
)


@dataclass(frozen=True, slots=True)
class WireMessage:
    """A camera's message, as it came over the wire."""

    view: View
    parts: list[bytes]
    header: RecordedFrame | RecordedEnd
    """Its header and what the receiver knew of it."""


@dataclass(frozen=True, slots=True)
class Note:
    """A JSON message of any other topic."""

    topic: str
    time_ns: int
    """Monotonic clock of the recording host."""
    data: bytes


@dataclass(frozen=True, slots=True)
class RecordingMetadata:
    """Metadata."""

    name: str
    content: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One MCAP message and where it belongs."""

    schema: Schema | None
    channel: Channel
    message: Message


class Recording:
    """One pass over a file. A context manager."""

    def __init__(self, path: Path) -> None:
        """Raises UserError for a file that cannot be read or is no recording."""
        self.path = path
        self.size = 0
        """Bytes."""
        self.broken: str | None = None
        """What is missing or damaged, as far as the file was read."""
        self._epoch_ns = 0
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._file = _open(path)
        self.size = path.stat().st_size
        self._records = StreamReader(self._file, emit_chunks=True, record_size_limit=_RECORD_LIMIT).records
        try:
            header = next(self._records)
        except (*_DAMAGE, StopIteration) as error:
            self.close()
            raise UserError(
                f"{path} is no recording: expected MCAP, as --record writes it ({str(error) or 'it is empty'})"
            ) from error
        if not isinstance(header, Header) or header.profile != PROFILE:
            self.close()
            raise UserError(f"{path} is a recording of another program: expected one that --record has written")

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._file.tell()

    @property
    def epoch_ns(self) -> int:
        """Time of day minus the recording host's monotonic clock; 0 until it was read."""
        return self._epoch_ns

    def items(self) -> Iterator[WireMessage | Note | RecordingMetadata]:
        """All items in recorded order. Damaged ones are left out and described in `broken`."""
        headers: dict[str, RecordedFrame] = {}
        for entry in self.entries():
            if isinstance(entry, RecordingMetadata):
                yield entry
                continue
            topic, message = entry.channel.topic, entry.message
            _, view, kind = f"{topic}//".split("/")[:3]
            try:
                if kind == "frame" and view in ("left", "right"):
                    header = _header_decoder.decode(message.data)
                    if isinstance(header, RecordedEnd):
                        yield WireMessage(view, wire.repack(header, b""), header)
                    else:
                        headers[view] = header
                elif kind == "image" and view in ("left", "right"):
                    header = headers.pop(view)
                    payload = foxglove.decode_image(foxglove.SCHEMA_OF[header.format], message.data)
                    yield WireMessage(view, wire.repack(header, payload), header)
                else:
                    yield Note(topic, message.log_time - self._epoch_ns, message.data)
            except _DAMAGE as error:
                self.broken = f"a message of {topic} is damaged ({error})"

    def wire_messages(self) -> Iterator[WireMessage]:
        """What the cameras sent."""
        return (item for item in self.items() if isinstance(item, WireMessage))

    def entries(self) -> Iterator[Entry | RecordingMetadata]:
        """The MCAP messages themselves, and metadata."""
        footer = False
        try:
            for record in self._records:
                footer = isinstance(record, Footer)
                if not isinstance(record, Chunk):
                    yield from self._entries([record])
                    continue
                try:
                    inside = breakup_chunk(_decompressed(record), validate_crc=True)
                except _DAMAGE as error:
                    # The next chunk is whole again: each stands for itself but for the channels.
                    self.broken = f"a part is damaged at byte {self.position:,} ({error})"
                    continue
                yield from self._entries(inside)
        except _DAMAGE as error:
            if not footer:
                self.broken = self.broken or f"it breaks off after {self.position:,} bytes{_reason(error)}"

    def _entries(self, records: list[McapRecord]) -> Iterator[Entry | RecordingMetadata]:
        for record in records:
            if isinstance(record, Schema):
                self._schemas[record.id] = record
            elif isinstance(record, Channel):
                self._channels[record.id] = record
            elif isinstance(record, Message):
                if record.channel_id not in self._channels:
                    self.broken = f"a message of channel {record.channel_id} is of no channel that is described"
                    continue
                channel = self._channels[record.channel_id]
                yield Entry(self._schemas.get(channel.schema_id), channel, record)
            elif isinstance(record, Metadata):
                if record.name == "duohand.clock":
                    self._epoch_ns = int(record.metadata["epoch_ns"])
                yield RecordingMetadata(record.name, record.metadata)


def read_metadata(path: Path, name: str) -> dict[str, str]:
    """The first metadata called `name`; empty where there is none. Raises UserError for a file that is no recording."""
    with Recording(path) as recording:
        for record in recording.entries():
            if isinstance(record, RecordingMetadata) and record.name == name:
                return record.content
    return {}


_header_decoder = msgspec.json.Decoder(RecordedFrame | RecordedEnd)


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read the recording {path}: {error.strerror}; give a file that --record has written") from error


def _decompressed(chunk: Chunk) -> Chunk:
    """The same chunk, uncompressed; raises ValueError where it would be larger than it says or may be."""
    size = chunk.uncompressed_size
    if size > _RECORD_LIMIT:
        raise ValueError(f"a part of {size:,} bytes; at most {_RECORD_LIMIT:,} are allowed")
    if chunk.compression == "lz4":
        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
    elif chunk.compression == "zstd":
        if zstandard.frame_content_size(chunk.data) > size:
            raise ValueError(f"a part that is larger than {size:,} bytes")
        data = zstandard.ZstdDecompressor().decompress(chunk.data, max_output_size=size)
    elif not chunk.compression:
        data = chunk.data
    else:
        raise ValueError(f"a part compressed by {chunk.compression!r}; expected lz4 or zstd")
    if len(data) != size:
        raise ValueError(f"a part that is not of {size:,} bytes")
    return Chunk("", data, chunk.message_end_time, chunk.message_start_time, chunk.uncompressed_crc, size)


def _reason(error: BaseException) -> str:
    return f" ({error})" if str(error) else ""
