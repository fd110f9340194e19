"""Copies a recording, all of it, which repairs a truncated one, or a part."""

from collections.abc import Callable
from pathlib import Path

from mcap.records import Channel, Schema
from mcap.writer import CompressionType, Writer

from capture.recording.reader import Entry, Recording, RecordingMetadata
from capture.recording.writer import CHUNK_BYTES, PROFILE


def copy_recording(
    recording: Recording,
    to: Path,
    keep: Callable[[Entry], bool] = lambda entry: True,
    on_entry: Callable[[], object] = lambda: None,
) -> int:
    """Write what `keep` keeps, and all metadata, to a new file; returns how many messages were kept.

    `on_entry` is called after each. Raises OSError where the file cannot be written.
    """
    kept = 0
    with to.open("xb") as file:
        writer = Writer(file, chunk_size=CHUNK_BYTES, compression=CompressionType.LZ4)
        writer.start(profile=PROFILE)
        channels = _Channels(writer)
        for entry in recording.entries():
            if isinstance(entry, RecordingMetadata):
                writer.add_metadata(entry.name, entry.content)
            elif keep(entry):
                message = entry.message
                channel = channels.of(entry.schema, entry.channel)
                writer.add_message(channel, message.log_time, message.data, message.publish_time, message.sequence)
                kept += 1
            on_entry()
        writer.finish()
    return kept


class _Channels:
    """Schemas and channels of the new file, made as they are needed."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._schemas: dict[tuple[str, str, bytes], int] = {}
        self._channels: dict[tuple[str, str, int], int] = {}

    def of(self, schema: Schema | None, channel: Channel) -> int:
        schema_id = 0
        if schema is not None:
            key = (schema.name, schema.encoding, schema.data)
            if key not in self._schemas:
                self._schemas[key] = self._writer.register_schema(*key)
            schema_id = self._schemas[key]
        key = (channel.topic, channel.message_encoding, schema_id)
        if key not in self._channels:
            self._channels[key] = self._writer.register_channel(*key, metadata=channel.metadata)
        return self._channels[key]
