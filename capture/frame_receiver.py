"""How messages of both views become frame pairs: the receiving thread's state, without sockets and clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from capture import wire
from capture.availability import CameraAvailability
from capture.clock import RemoteClock
from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View

_AHEAD_NS = 1_000_000
"""By more than this and its clock's bound, a frame's time lies ahead of its arrival."""

NONE_LASTS = PerView(False, False)
"""Both views are recordings, which end."""


@dataclass(slots=True)
class _ViewState:
    """State of one view."""

    received: int = 0
    next_seq: int | None = None
    ahead_since: int | None = None
    """Count of its clock's answers when frames were first stamped ahead of their arrival; None while they are not."""
    held: tuple[wire.Packet, int] | None = None
    """A frame, and when it came, that waits for its clock to be known."""


class FrameReceiver:
    """Takes messages of both views, returns pairs, and counts the outcome of every frame.

    `newest`: of several messages that are read at once, only the last image is used; else all are, and pairs do not depend on
    which view's message came first. `lasting` views are cameras that may stop and come back (`capture.availability`). `names` are
    the sources as the user wrote them.
    """

    def __init__(
        self,
        names: PerView[str],
        *,
        newest: bool,
        started_ns: int,
        silence_ns: int,
        tolerance_ns: int | None = None,
        lasting: PerView[bool] = NONE_LASTS,
        clock_of: Callable[[View, int], RemoteClock | None] = lambda view, port: None,
    ) -> None:
        """`clock_of` returns the clock that answers at a port of a view's host; None where that is this host's."""
        self.drops: Counter[str] = Counter()
        """Frames by reason: those of pairing, `lost` (a gap in the sequence numbers), `malformed` (messages), `unsynchronised`
        (stamped by a clock whose offset is not known yet) and `ahead` (by one that seems to have been set)."""
        self.complaint: str | None = None
        """What was wrong with the latest malformed message."""
        self._newest = newest
        self._clock_of = clock_of
        self._pairer = Pairer(tolerance_ns, patient=not newest)
        self._availability = CameraAvailability(
            names, self._pairer, lasting=lasting, silence_ns=silence_ns, started_ns=started_ns
        )
        self._views = PerView.of(lambda view: _ViewState())

    @property
    def received(self) -> PerView[int]:
        """Valid frames that arrived."""
        return self._views.map(lambda view: view.received)

    @property
    def all_drops(self) -> dict[str, int]:
        return dict(self.drops + Counter[str](self._pairer.drops))

    @property
    def faults(self) -> Counter[str]:
        return self._availability.faults

    @property
    def failure(self) -> str | None:
        """Why the stream ended unexpectedly, one sentence."""
        return self._availability.failure

    @property
    def ended(self) -> bool:
        """Whether no further pair can come."""
        return self._availability.ended

    def wants(self, view: View) -> bool:
        """Whether to read more of `view`: where every pair counts, a view that is ahead waits for the other."""
        if self._availability.has_ended(view):
            return False
        return self._newest or not (self._pairer.full(view) or self._views[view].held)

    def silent_ns(self, view: View, now_ns: int) -> int:
        """Time since the last frame of `view`."""
        return self._availability.silent_ns(view, now_ns)

    def take(self, view: View, messages: Sequence[Sequence[wire.Part]], received_ns: int) -> list[FramePair]:
        """Process messages of one view's socket, oldest first; the pairs that are settled by them."""
        state, packets, end = self._views[view], [], None
        for message in messages:
            try:
                packet = wire.unpack(message)
                if packet.header.view != view:
                    raise wire.WireError(f"a message of view {packet.header.view!r} on the socket of view {view!r}")
            except wire.WireError as error:
                self._malformed(view, error)
                continue
            if self._availability.has_ended(view) or end is not None:
                continue
            self._count_gap(view, packet.header.seq)
            if isinstance(packet.header, wire.End):
                end = packet.header
            else:
                state.received += 1
                state.next_seq = packet.header.seq + 1
                self._availability.heard(view, received_ns)
                packets.append(packet)

        if self._newest and len(packets) > 1:
            self.drops["superseded"] += len(packets) - 1
            del packets[:-1]
        pairs = []
        for packet in packets:
            frame = self._decode(view, packet, received_ns)
            if frame is not None:
                pairs += self._availability.push(frame)
        if end is not None:
            pairs += self._availability.end(view) if end.error is None else self._availability.lost(view, end.error, received_ns)
        return pairs

    def lost(self, view: View, why: str, now_ns: int) -> list[FramePair]:
        """Note that `view` has stopped without an end message."""
        return self._availability.lost(view, why, now_ns)

    def held_up(self, now_ns: int) -> None:
        """Note that no view was read until now, so that none counts as silent."""
        for view in VIEWS:
            self._availability.heard(view, now_ns)

    def check_silence(self, now_ns: int) -> list[FramePair]:
        """Find views that were read and had no frame for too long; retry frames that were held for their clock."""
        pairs = []
        for view in VIEWS:
            held = self._views[view].held
            if held is not None:
                self._views[view].held = None
                frame = self._decode(view, *held)
                pairs += [] if frame is None else self._availability.push(frame)
        return pairs + self._availability.check_silence(now_ns, self.wants, self.complaint)

    def _count_gap(self, view: View, seq: int) -> None:
        """A sender that restarts, or that is joined late, starts a new count; a gap within a count is a loss."""
        expected = self._views[view].next_seq
        if expected is not None and seq > expected:
            self.drops["lost"] += seq - expected

    def _decode(self, view: View, packet: wire.Packet, received_ns: int) -> Frame | None:
        try:
            frame = wire.decode(packet, received_ns)
        except wire.WireError as error:
            self._views[view].received -= 1
            self._malformed(view, error)
            return None
        assert isinstance(packet.header, wire.FrameHeader)
        port = packet.header.clock_port
        clock = None if port is None else self._clock_of(view, port)
        if clock is not None and not clock.settled and not self._newest:
            # Nothing may be lost, so the view is held up until its clock has answered.
            self._views[view].held = packet, received_ns
            return None
        return frame if clock is None else self._in_local_time(frame, clock)

    def _in_local_time(self, frame: Frame, clock: RemoteClock) -> Frame | None:
        """The frame with its capture time in this host's clock; None, and counted, where the offset is not known."""
        if not clock.settled:
            self.drops["unsynchronised"] += 1
            return None
        local, state = clock.to_local(frame.captured_ns), self._views[frame.view]
        if local.ns - local.bound_ns <= frame.received_ns + _AHEAD_NS:
            state.ahead_since = None
        elif self._newest and state.ahead_since in (None, clock.answers):
            # Either the clock was set, or the sender is ahead of time, as a file at its reader's pace is: a probe tells.
            state.ahead_since, clock.suspected = clock.answers, True
            self.drops["ahead"] += 1
            return None
        return replace(frame, captured_ns=local.ns)

    def _malformed(self, view: View, error: wire.WireError) -> None:
        self.drops["malformed"] += 1
        self.complaint = f"{error} ({view} camera)"
