"""From messages to pairs: what the receiving thread knows, without its sockets and clock."""

from collections import Counter
from collections.abc import Sequence

from capture import wire
from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, PerView, View


class _Intake:
    """What one view has given so far."""

    def __init__(self, started_ns: int) -> None:
        self.received = 0
        self.next_seq: int | None = None
        self.heard_ns = started_ns
        self.ended = False


class Intake:
    """Takes both views' messages, gives pairs, and counts what became of every frame.

    `newest`: of several messages that are read at once, only the last image is used; else all are, and pairs do not
    depend on which view's message came first. `names` are the sources as the user wrote them.
    """

    def __init__(
        self, names: PerView[str], *, newest: bool, started_ns: int, silence_ns: int, tolerance_ns: int | None = None
    ) -> None:
        self.drops: Counter[str] = Counter()
        """Frames by reason: those of pairing, `lost` (a gap in the numbers) and `malformed` (messages)."""
        self.failure: str | None = None
        """Why a view ended that should not have, one sentence."""
        self.complaint: str | None = None
        """What was wrong with the latest malformed message."""
        self._names = names
        self._newest = newest
        self._silence_ns = silence_ns
        self._pairer = Pairer(tolerance_ns, patient=not newest)
        self._views = PerView.of(lambda view: _Intake(started_ns))

    @property
    def received(self) -> PerView[int]:
        """Frames that arrived whole."""
        return self._views.map(lambda view: view.received)

    @property
    def all_drops(self) -> dict[str, int]:
        return dict(self.drops + Counter[str](self._pairer.drops))

    @property
    def ended(self) -> bool:
        """Whether no further pair can come."""
        return self.failure is not None or self._pairer.exhausted

    def wants(self, view: View) -> bool:
        """Whether to read on from `view`: where nothing may be lost, a view that is ahead waits for the other."""
        return not self._views[view].ended and (self._newest or not self._pairer.full(view))

    def take(self, view: View, messages: Sequence[Sequence[wire.Part]], received_ns: int) -> list[FramePair]:
        """Take messages of one view's socket, oldest first; give the pairs that they settle."""
        frames, end = [], None
        for message in messages:
            try:
                packet = wire.unpack(message)
                if packet.header.view != view:
                    raise wire.WireError(f"a message of view {packet.header.view!r} on the socket of view {view!r}")
            except wire.WireError as error:
                self._malformed(view, error)
                continue
            if self._views[view].ended:
                continue
            self._count_gap(view, packet.header.seq)
            if isinstance(packet.header, wire.End):
                end = packet.header
                self._views[view].ended = True
            else:
                self._views[view].received += 1
                self._views[view].next_seq = packet.header.seq + 1
                self._views[view].heard_ns = received_ns
                frames.append(packet)

        if self._newest and len(frames) > 1:
            self.drops["superseded"] += len(frames) - 1
            del frames[:-1]
        pairs = []
        for packet in frames:
            frame = self._decode(view, packet, received_ns)
            if frame is not None:
                pairs += self._pairer.push(frame)
        if end is not None:
            if end.error is not None:
                self._fail(f"{view} camera: {end.error}")
            pairs += self._pairer.finish(view)
        return pairs

    def lost(self, view: View, sentence: str) -> list[FramePair]:
        """Note that `view` is gone without a last message."""
        if self._views[view].ended:
            return []
        self._fail(sentence)
        self._views[view].ended = True
        return self._pairer.finish(view)

    def held_up(self, now_ns: int) -> None:
        """Note that no view was read until now, so that none was silent."""
        for state in self._views:
            state.heard_ns = max(state.heard_ns, now_ns)

    def check_silence(self, now_ns: int) -> list[FramePair]:
        """Give up a view that has been read and yet has not given a frame for too long."""
        pairs = []
        for view in VIEWS:
            state = self._views[view]
            if not self.wants(view):
                state.heard_ns = now_ns
            elif now_ns - state.heard_ns > self._silence_ns:
                what = "no frame" if not state.received else f"no frame after the first {state.received}"
                advice = f"check that it runs and publishes view {view!r}"
                if self.complaint:
                    advice = f"its latest malformed message was {self.complaint}"
                seconds = self._silence_ns / 1e9
                pairs += self.lost(view, f"{view} camera: {what} from {self._names[view]!r} for {seconds:g} s; {advice}")
        return pairs

    def _count_gap(self, view: View, seq: int) -> None:
        """A sender that starts again, or is joined late, begins anew; a gap in between is a loss."""
        expected = self._views[view].next_seq
        if expected is not None and seq > expected:
            self.drops["lost"] += seq - expected

    def _decode(self, view: View, packet: wire.Packet, received_ns: int) -> Frame | None:
        try:
            return wire.decode(packet, received_ns)
        except wire.WireError as error:
            self._views[view].received -= 1
            self._malformed(view, error)
            return None

    def _fail(self, sentence: str) -> None:
        # What fails second is often a consequence of what failed first.
        self.failure = self.failure or sentence

    def _malformed(self, view: View, error: wire.WireError) -> None:
        self.drops["malformed"] += 1
        self.complaint = f"{error} ({view} camera)"
