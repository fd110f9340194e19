"""How a recording is written: channels, times and bytes of the file that `capture.recording.recorder` describes."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal

import msgspec
from mcap.writer import CompressionType, Writer

from capture import wire
from capture.recording import foxglove
from capture.views import View

RecordFormat = Literal["sent", "jpeg"]
"""Images as they were sent, or all as JPEG: those that were not are then a twentieth of the size, and not quite the same."""
PROFILE = "duohand"
CHUNK_BYTES = 4 * 2**20


class RecordedFrame(
    wire.FrameHeader,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="frame",
):
    """A frame's header as it was sent, with the receiver's times."""

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
class QueuedMessage:
    """A camera's message as it came, and the offset of its clock."""

    view: View
    parts: Sequence[wire.Part]
    received_ns: int
    offset_ns: int


@dataclass(frozen=True, slots=True)
class QueuedNote:
    """A message of ours about the run, on its topic."""

    topic: str
    content: msgspec.Struct
    time_ns: int


@dataclass(frozen=True, slots=True)
class QueuedMetadata:
    """A named record of the file's own."""

    name: str
    content: dict[str, str]


class RecordingWriter:
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

    def write(self, item: QueuedMessage | QueuedNote | QueuedMetadata) -> None:
        match item:
            case QueuedMessage():
                self._write_message(item)
            case QueuedNote(topic, content, time_ns):
                self._write(self._channels[topic], self._encoder.encode(content), time_ns, time_ns)
            case QueuedMetadata(name, content):
                self._writer.add_metadata(name, content)

    def flush(self) -> None:
        """Flush everything to the disk."""
        self._writer.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write_message(self, message: QueuedMessage) -> None:
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
            recorded = RecordedFrame(**fields, received_ns=received_ns, offset_ns=message.offset_ns, recoded=recoded)
        else:
            recorded = RecordedEnd(**fields, received_ns=received_ns)
        captured_ns = header.captured_ns + message.offset_ns if isinstance(header, wire.FrameHeader) else received_ns
        channel = self._channels[f"/{message.view}/frame"]
        self._write(channel, self._encoder.encode(recorded), received_ns, captured_ns, header.seq)
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


def _as_jpeg(packet: wire.Packet) -> wire.Packet:
    """The same frame, its image encoded. Raises WireError."""
    header = packet.header
    assert isinstance(header, wire.FrameHeader)
    image = wire.decode(packet, 0).image
    parts = wire.encode(header.view, header.seq, header.captured_ns, image, "jpeg", header.fov_deg)
    return wire.Packet(msgspec.structs.replace(header, format="jpeg"), parts[2])
