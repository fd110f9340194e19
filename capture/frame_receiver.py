"""How messages of both views become frame pairs: the receiving thread's state, without sockets and clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from capture import wire
from capture.availability import ABSENT_NS, CameraAvailability
from capture.clock import RemoteClock
from capture.frame_check import CheckedView, FrameCheck
from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View
from hand.findings import Findings

_AHEAD_NS = 1_000_000
"""By more than this and its clock's bound, a frame's time lies ahead of its arrival."""

NONE_LASTS = PerView(False, False)
"""Both views are recordings, which end."""


@dataclass(slots=True)
class _ViewState:
    """State of one view."""

    received: int = 0
    arrived_ns: int = 0
    """When its latest message came, usable or not; before the first, start of the stream."""
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
        check: FrameCheck | None = None,
        one_socket: bool = False,
    ) -> None:
        """`clock_of` returns the clock that answers at a port of a view's host; None where that is this host's. `check` finds out
        what is wrong with the frames. `one_socket`: both views are published by one, so that the messages of both may arrive.
        """
        self.drops: Counter[str] = Counter()
        """Frames by reason: those of pairing, `lost` (a gap in the sequence numbers), `malformed` (messages), `unsynchronised`
        (stamped by a clock whose offset is not known yet), `ahead` (by one that seems to have been set) and `apart` (of a view
        whose times meet none of the other view's)."""
        self.complaint: str | None = None
        """What was wrong with the latest malformed message."""
        self._newest = newest
        self._one_socket = one_socket
        self._check = check or FrameCheck(names.map(CheckedView), Findings(), started_ns)
        self._clock_of = clock_of
        self._pairer = Pairer(tolerance_ns, patient=not newest)
        self._availability = CameraAvailability(
            names, self._pairer, lasting=lasting, silence_ns=silence_ns, started_ns=started_ns
        )
        self._views = PerView.of(lambda view: _ViewState(arrived_ns=started_ns))

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
        """Time since the last message of `view`, usable or not."""
        return now_ns - self._views[view].arrived_ns

    def has_messages(self, view: View) -> bool:
        """Whether any message was published under the name of `view`."""
        return self._check.has_messages(view)

    def take(self, view: View, messages: Sequence[Sequence[wire.Part]], received_ns: int) -> list[FramePair]:
        """Process messages of one view's socket, oldest first; the pairs that are settled by them."""
        state, packets, end = self._views[view], [], None
        state.arrived_ns = max(state.arrived_ns, received_ns)
        for message in messages:
            try:
                packet = wire.unpack(message)
            except wire.WireError as error:
                self._check.message(view)
                self._malformed(view, error, received_ns)
                continue
            self._check.message(view, of_other_view=packet.header.view != view)
            if packet.header.view != view:
                if not self._one_socket:
                    self._count_malformed(view, f"a message of view {packet.header.view!r} on the socket of view {view!r}")
                continue
            if self._availability.has_ended(view) or end is not None:
                continue
            self._count_gap(view, packet.header.seq)
            if isinstance(packet.header, wire.End):
                end = packet.header
            else:
                state.received += 1
                state.next_seq = packet.header.seq + 1
                size_px = packet.header.width, packet.header.height
                self._availability.announced(view, size_px, packet.header.fov_deg)
                packets.append(packet)

        if self._newest and len(packets) > 1:
            self.drops["superseded"] += len(packets) - 1
            del packets[:-1]
        pairs = []
        for packet in packets:
            pairs += self._push(self._decode(view, packet, received_ns))
        if end is not None:
            pairs += self._availability.end(view) if end.error is None else self._availability.lost(view, end.error, received_ns)
        return pairs

    def lost(self, view: View, why: str, now_ns: int) -> list[FramePair]:
        """Note that `view` has stopped without an end message."""
        return self._availability.lost(view, why, now_ns)

    def held_up(self, now_ns: int) -> None:
        """Note that no view was read until now, so that none counts as silent."""
        for view in VIEWS:
            self._views[view].arrived_ns = now_ns
            self._availability.heard(view, now_ns)

    def check_silence(self, now_ns: int) -> list[FramePair]:
        """Find views that were read and had no frame for too long; retry frames that were held for their clock."""
        pairs = []
        for view in VIEWS:
            held = self._views[view].held
            if held is not None:
                self._views[view].held = None
                pairs += self._push(self._decode(view, *held))
        self._check.look(now_ns)
        if self._check.aside is not None:
            self._availability.set_aside(self._check.aside, now_ns)
        return pairs + self._availability.check_silence(
            now_ns, self.wants, PerView.of(lambda view: self._complaint(view, now_ns))
        )

    def _complaint(self, view: View, now_ns: int) -> str | None:
        """What is wrong with a view of which no usable frame comes; None where nothing comes at all."""
        known = self._check.complaint(view)
        if known is None and self._views[view].received and self.silent_ns(view, now_ns) < ABSENT_NS:
            return "its frames arrive, but none can be used: see which are dropped, and why"
        return known

    def _push(self, frame: Frame | None) -> list[FramePair]:
        """Pair a frame, unless there is none or its view is set aside."""
        if frame is None:
            return []
        self._check.frame(frame.view, frame.seq, frame.captured_ns, frame.received_ns)
        frame = replace(frame, captured_ns=self._check.local_ns(frame.view, frame.captured_ns, frame.received_ns))
        if self._check.aside == frame.view:
            self.drops["apart"] += 1
            return []
        pairs = self._availability.push(frame)
        if any(pair.complete for pair in pairs):
            self._check.paired()
        return pairs

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
            self._malformed(view, error, received_ns)
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

    def _malformed(self, view: View, error: wire.WireError, now_ns: int) -> None:
        self._check.refuse(view, error, now_ns)
        self._count_malformed(view, str(error))

    def _count_malformed(self, view: View, why: str) -> None:
        self.drops["malformed"] += 1
        self.complaint = f"{why} ({view} camera)"
