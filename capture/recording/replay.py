"""Replays the pairs of a recorded run: the same pairs in the same order; frames that were dropped stay dropped."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from capture import wire
from capture.frames import Frame, FramePair
from capture.recording.reader import Note, Recording, RecordingMetadata, WireMessage
from capture.recording.writer import RecordedFrame
from capture.views import VIEWS, PerView, View, other

PAIR_TOPIC = "/pair"
_WAITING_BYTES = 512 * 2**20
"""Images of a view that wait for the pair that took them: seconds of them."""
_NOTES = 100
"""Other messages of one pair."""


class RecordedPair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pair that a run processed, with its outcome."""

    left_seq: int
    right_seq: int
    left_captured_ns: int
    """In the receiver's clock, as the pair was made by it."""
    right_captured_ns: int
    skew_ns: int
    """Right − left."""
    paired_ns: int | None = None
    started_ns: int
    """When the pipeline took it up; monotonic clock of the recording host."""
    hands: int
    """Number of hands found in it."""
    absent: Literal["", "left", "right"] = ""
    """The absent view; its number is its last real frame's, and its image is a stand-in."""
    solver: Literal["", "solved", "ended"] = ""
    """Event of the calibration solver while this pair was processed: a solution, or its end."""


class ReplayPairs:
    """The pairs of a recording, in place of a `PairStream`. A context manager.

    `paced`: in recorded time; else as fast as they are read. Their times are those of the recorded run.
    """

    failure = None
    faults: Mapping[str, int] = MappingProxyType({})
    clocks: Mapping[View, object] = MappingProxyType({})

    def __init__(self, path: Path, *, paced: bool) -> None:
        """Raises UserError for a file that is no recording."""
        self.notes: list[str] = []
        self.about: dict[str, dict[str, str]] = {}
        """The recording's metadata, as far as it was read."""
        self.current: RecordedPair | None = None
        """The record of the latest pair."""
        self.notes_of_current: tuple[Note, ...] = ()
        """Other messages that were recorded while it was processed."""
        self._recording = Recording(path)
        self._items = self._recording.items()
        self._paced = paced
        self._began: tuple[int, int] | None = None
        """When the first pair was given, and when it was taken then."""
        self._next: tuple[RecordedPair, FramePair, tuple[Note, ...]] | None = None
        self._ended = False
        self._waiting = PerView.of(lambda view: deque[WireMessage]())
        self._last: dict[View, WireMessage] = {}
        """That was taken."""
        self._bytes: Counter[View] = Counter()
        self._drops: Counter[str] = Counter()
        self._received: Counter[View] = Counter()
        self._pairs = self._read()

    def __enter__(self) -> "ReplayPairs":
        return self

    def __exit__(self, *exception: object) -> None:
        self._recording.close()

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def complaint(self) -> str | None:
        """What is missing or damaged in the recording."""
        return self._recording.broken and f"the recording {self._recording.path}: {self._recording.broken}"

    @property
    def received(self) -> PerView[int]:
        return PerView.of(lambda view: self._received[view])

    @property
    def drops(self) -> dict[str, int]:
        """Frames of pairs that are not in the recording."""
        return dict(self._drops)

    def next_pair(self, timeout_s: float) -> FramePair | None:
        """The next pair; None if none is due in time, or none will come (`ended`)."""
        if self._next is None:
            self._next = next(self._pairs, None)
        if self._next is None:
            self._ended = True
            return None
        recorded, pair, notes = self._next
        now_ns = time.monotonic_ns()
        began_ns, first_ns = self._began = self._began or (now_ns, recorded.started_ns)
        wait_s = (began_ns + recorded.started_ns - first_ns - now_ns) / 1e9 if self._paced else 0.0
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(wait_s, 0.0))
        self.current, self.notes_of_current, self._next = recorded, notes, None
        return pair

    def _read(self) -> Iterator[tuple[RecordedPair, FramePair, tuple[Note, ...]]]:
        notes = deque[Note](maxlen=_NOTES)
        for item in self._items:
            if isinstance(item, RecordingMetadata):
                self.about[item.name] = item.content
            elif isinstance(item, WireMessage):
                self._keep(item)
            elif item.topic != PAIR_TOPIC:
                notes.append(item)
            elif (recorded := _pair_of(item)) is not None:
                others = tuple(notes)
                notes.clear()
                pair = self._pair(recorded)
                if pair is None:
                    self._drops["not_recorded"] += 2
                    continue
                yield recorded, pair, others

    def _pair(self, recorded: RecordedPair) -> FramePair | None:
        """None where a frame of it is not there."""
        times = PerView(recorded.left_captured_ns, recorded.right_captured_ns)
        seqs = PerView(recorded.left_seq, recorded.right_seq)
        frames: dict[View, Frame] = {}
        for view in VIEWS:
            frame = self._frame(view, seqs[view]) if view == recorded.absent else self._take(view, seqs[view])
            if frame is not None:
                frames[view] = replace(frame, captured_ns=times[view])
            elif view != recorded.absent:
                return None
        if recorded.absent:
            partner, absent = frames[other(recorded.absent)], frames.get(recorded.absent)
            frames[recorded.absent] = absent.stand_in(partner) if absent else self._before_first(recorded.absent, partner)
        return FramePair(frames["left"], frames["right"], paired_ns=recorded.paired_ns)

    def _keep(self, message: WireMessage) -> None:
        if not isinstance(message.header, wire.FrameHeader):
            return
        waiting, view = self._waiting[message.view], message.view
        # One that was written late stands in its place again.
        place = len(waiting)
        while place and _captured_ns(waiting[place - 1]) > _captured_ns(message):
            place -= 1
        waiting.insert(place, message)
        self._received[view] += 1
        self._bytes[view] += len(message.parts[2])
        while self._bytes[view] > _WAITING_BYTES:
            self._bytes[view] -= len(waiting.popleft().parts[2])

    def _take(self, view: View, seq: int) -> Frame | None:
        """The frame of that number. Those captured before it were dropped then; newer ones may be in the recording before it."""
        taken = next((message for message in self._waiting[view] if message.header.seq == seq), None)
        if taken is None:
            return None
        while self._waiting[view] and _captured_ns(self._waiting[view][0]) <= _captured_ns(taken):
            self._bytes[view] -= len(self._waiting[view].popleft().parts[2])
        self._last[view] = taken
        return _decoded(taken)

    def _before_first(self, view: View, partner: Frame) -> Frame:
        """The stand-in for a view that had no usable frame yet, of the size of those that came."""
        header = next((message.header for message in self._waiting[view]), None)
        announced = isinstance(header, wire.FrameHeader)
        size_px = (header.width, header.height) if announced else None
        return Frame.before_first(view, partner, size_px, header.fov_deg if announced else None)

    def _frame(self, view: View, seq: int) -> Frame | None:
        """A frame that may have been taken already, and may be taken again."""
        last = self._last.get(view)
        known = [message for message in (*self._waiting[view], last) if message and message.header.seq == seq]
        return _decoded(known[0]) if known else None


def _captured_ns(message: WireMessage) -> int:
    header = message.header
    return header.captured_ns + header.offset_ns if isinstance(header, RecordedFrame) else 0


def _decoded(message: WireMessage) -> Frame | None:
    try:
        return wire.decode(wire.unpack(message.parts), message.header.received_ns)
    except wire.WireError:
        return None


def _pair_of(note: Note) -> RecordedPair | None:
    try:
        return _decoder.decode(note.data)
    except msgspec.MsgspecError:
        return None


_decoder = msgspec.json.Decoder(RecordedPair)
