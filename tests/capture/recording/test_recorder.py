"""Recordings hold messages exactly as sent, are readable by other programs, and count what was dropped."""

import errno
import json
import os
import resource
import time
from typing import Any

import msgspec
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from mcap.reader import make_reader

from capture import wire
from capture.recording.reader import Note, Recording, RecordingMetadata, WireMessage
from capture.recording.recorder import Recorder
from capture.recording.writer import RecordedEnd, RecordedFrame
from hand.errors import UserError
from tests.capture.clips import numbered_image, read_number
from tests.capture.recordings import BEGAN_NS, MS, captured_ns, pair_of, write_recording

TIMEOUT_S = 120.0
NOISE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


class Counted(msgspec.Struct, frozen=True):
    """A message of another topic."""

    number: int
    name: str | None = None


def read(path) -> list[WireMessage | Note | RecordingMetadata]:
    with Recording(path) as recording:
        items = list(recording.items())
        assert recording.broken is None
        return items


def test_recorded_messages_are_read_back_exactly_and_in_order(tmp_path):
    sent = [
        wire.encode("left", 7, 10**9, NOISE, "rgb8", 61.5),
        wire.encode("right", 2**40, 10**9 + 1, NOISE, "gray8"),
        wire.encode("left", 9, 10**9 + 2, NOISE, "jpeg"),
        wire.encode_end("right", 2**40 + 1, "unplugged"),
    ]
    recorder = Recorder(tmp_path / "made" / "s.mcap", {"/count": Counted})
    for number, parts in enumerate(sent):
        recorder.message("right" if parts[0] == b"right" else "left", [memoryview(part) for part in parts], 10**9 + number, 5)
        recorder.note("/count", Counted(number), 10**9 + number)
    recorder.about("made", {"by": "test"})
    recorder.close()
    items = read(tmp_path / "made" / "s.mcap")
    messages = [item for item in items if isinstance(item, WireMessage)]
    assert [message.parts for message in messages] == sent
    assert [message.header.received_ns for message in messages] == [10**9 + number for number in range(4)]
    header = messages[0].header
    assert isinstance(header, RecordedFrame) and isinstance(messages[3].header, RecordedEnd)
    assert (header.seq, header.captured_ns, header.fov_deg, header.offset_ns, header.recoded) == (7, 10**9, 61.5, 5, False)
    notes = [item for item in items if isinstance(item, Note)]
    assert [(note.time_ns, json.loads(note.data)["number"]) for note in notes] == [(10**9 + n, n) for n in range(4)]
    assert RecordingMetadata("made", {"by": "test"}) in items


def test_recordings_are_self_describing_mcap_files_of_foxglove_images(tmp_path):
    path = write_recording(tmp_path / "s.mcap", frames=6)
    write_recording(tmp_path / "j.mcap", frames=6, format="jpeg")
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary and summary.statistics
        described = {
            channel.topic: (
                channel.message_encoding,
                summary.schemas[channel.schema_id].name,
                summary.schemas[channel.schema_id].encoding,
            )
            for channel in summary.channels.values()
        }
        assert described["/left/image"] == described["/right/image"] == ("protobuf", "foxglove.RawImage", "protobuf")
        assert described["/left/frame"] == ("json", "duohand.RecordedFrame", "jsonschema")
        assert described["/pair"][0] == "json"
        counts = {summary.channels[number].topic: count for number, count in summary.statistics.channel_message_counts.items()}
        assert counts == {f"/{view}/{kind}": 6 for view in ("left", "right") for kind in ("frame", "image")} | {"/pair": 3}
        schema, _, message = next(reader.iter_messages(topics="/right/image"))
        assert schema
        image = parsed(schema.data, schema.name, message.data)
        assert (image.width, image.height, image.encoding, image.step, image.frame_id) == (64, 48, "rgb8", 192, "right")
        assert read_number(np.frombuffer(image.data, np.uint8).reshape(48, 64, 3)) == 0
        # The time of day, for viewers; a second is not too exact on a busy machine.
        day_ns = time.time_ns() - time.monotonic_ns() + captured_ns(0, "right")
        assert image.timestamp.seconds * 10**9 + image.timestamp.nanos == pytest.approx(day_ns, abs=10**9)
        assert message.publish_time == pytest.approx(day_ns, abs=10**9) and message.log_time == message.publish_time + MS
        for other in summary.schemas.values():
            if other.encoding == "jsonschema":
                assert json.loads(other.data)["type"] == "object" and b"anyOf" not in other.data and b"$ref" not in other.data
    with (tmp_path / "j.mcap").open("rb") as file:
        schema, _, message = next(make_reader(file).iter_messages(topics="/left/image/compressed"))
        assert schema
        image = parsed(schema.data, schema.name, message.data)
        assert (image.format, image.frame_id, image.data[:2]) == ("jpeg", "left", b"\xff\xd8")


def parsed(descriptors: bytes, name: str, data: bytes) -> Any:
    """A Protobuf message by its own description."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name)).FromString(data)


def test_jpeg_recordings_mark_recoded_frames_and_keep_jpeg_ones(tmp_path):
    image = numbered_image(5)
    recorder = Recorder(tmp_path / "s.mcap", {}, format="jpeg")
    recorder.message("left", wire.encode("left", 0, BEGAN_NS, image), BEGAN_NS)
    already = wire.encode("left", 1, BEGAN_NS + 1, image, "jpeg")
    recorder.message("left", already, BEGAN_NS)
    recorder.close()
    first, second = (item for item in read(tmp_path / "s.mcap") if isinstance(item, WireMessage))
    assert isinstance(first.header, RecordedFrame) and isinstance(second.header, RecordedFrame)
    assert (first.header.format, first.header.recoded, second.header.recoded) == ("jpeg", True, False)
    assert read_number(wire.decode(wire.unpack(first.parts), 0).image) == 5
    assert second.parts == already


def test_malformed_messages_are_not_recorded(tmp_path):
    recorder = Recorder(tmp_path / "s.mcap", {})
    recorder.message("left", [b"left", b"\xc1", b""], 0)
    recorder.message("left", wire.encode("left", 0, 1, NOISE), 2)
    recorder.close()
    assert len([item for item in read(tmp_path / "s.mcap") if isinstance(item, WireMessage)]) == 1


@pytest.mark.parametrize("lossless", [False, True])
def test_a_slow_disk_drops_and_counts_frames_or_blocks_if_lossless(tmp_path, lossless):
    recorder = Recorder(tmp_path / "s.mcap", {}, lossless=lossless, queue_bytes=2 * NOISE.nbytes)
    for number in range(200):
        recorder.message("left", wire.encode("left", number, number + 1, NOISE), number)
    recorder.close()
    written = [item for item in read(tmp_path / "s.mcap") if isinstance(item, WireMessage)]
    assert len(written) + recorder.unrecorded == 200
    assert lossless == (recorder.unrecorded == 0)
    assert [message.header.seq for message in written] == sorted(message.header.seq for message in written)


def test_under_load_frames_of_processed_pairs_are_kept_first(tmp_path):
    recorder = Recorder(tmp_path / "s.mcap", {}, queue_bytes=4 * NOISE.nbytes)
    for number in range(120):
        recorder.message("left", wire.encode("left", number, number + 1, NOISE), number)
        if number % 10 == 5:
            recorder.keep("left", number)
            deadline = time.monotonic() + TIMEOUT_S
            while recorder.waiting_bytes > 2 * NOISE.nbytes and time.monotonic() < deadline:
                os.sched_yield()
    recorder.close()
    written = [message.header.seq for message in read(tmp_path / "s.mcap") if isinstance(message, WireMessage)]
    assert {number for number in range(120) if number % 10 == 5} <= set(written)
    assert len(written) + recorder.unrecorded == 120 and recorder.unrecorded


def test_a_full_disk_ends_the_recording_with_one_message_and_keeps_the_file(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = Recorder(tmp_path / "s.mcap", {}, lossless=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        for number in range(300):
            recorder.message("left", wire.encode("left", number, number + 1, NOISE), number)
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert recorder.failure and recorder.failure.errno == errno.EFBIG
    with Recording(tmp_path / "s.mcap") as recording:
        assert len(list(recording.wire_messages())) + recorder.unrecorded <= 300
        assert recording.broken
    assert recorder.unrecorded


def test_a_recording_is_never_overwritten(tmp_path):
    path = write_recording(tmp_path / "s.mcap")
    with pytest.raises(UserError, match="is there already"):
        Recorder(path, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--record"):
        Recorder(tmp_path / "file" / "s.mcap", {})


def test_an_unfinished_recording_is_readable_while_it_is_written(tmp_path):
    """What is in the file without its end, while the recorder still runs."""
    recorder = Recorder(tmp_path / "s.mcap", {"/pair": type(pair_of(0))})
    for number in range(5):
        recorder.message("left", wire.encode("left", number, number + 1, NOISE), number)
    deadline = time.monotonic() + TIMEOUT_S
    seen = 0
    while seen < 5 and time.monotonic() < deadline:
        with Recording(tmp_path / "s.mcap") as recording:
            seen = len(list(recording.wire_messages()))
    recorder.close()
    assert seen == 5
