"""Do usable frames of both views come, and can their times be paired? What is wrong for two seconds becomes a finding."""

from collections.abc import Callable
from dataclasses import dataclass, field

from capture import frame_check_text as text
from capture.stamp_check import ANOTHER_CLOCK, MIN_FRAMES, UNUSABLE, WINDOW_NS, StampCheck, StampFault
from capture.views import VIEWS, PerView, View, other
from capture.wire import ImageError, WireError
from hand.findings import Finding, FindingLevel, Findings

MISSING_NS = 2_000_000_000
"""A view without a usable frame for this long after the start is missing."""
_LOOK_NS = 250_000_000
_PRESENT_NS = 500_000_000
"""A view whose latest frame came longer ago does not give frames now."""
_REFUSED_SHARE = 0.05
"""Fewer messages that cannot be used are only counted."""
_MAX_DELAY_NS = 500_000_000
"""From capture to arrival; times of this host's own wall clock differ from its arrival by no more."""
_TOGETHER_NS = 500_000_000
"""Times that are no farther apart are tried again."""
_RATE_RATIO, _RATE_NS = 1.5, 3_000_000_000
"""From this ratio of the views' rates on, for so long, a third or more of one view's frames have no partner."""


@dataclass(slots=True)
class _Refused:
    """Messages of a view that cannot be used, since the first of them."""

    since_ns: int
    why: str = ""
    """What was wrong with the latest. Not the error itself, which would hold the message: 64 MiB."""
    image: bool = False
    """Whether its image alone was wrong."""
    count: int = 0
    usable: int = 0
    """Frames since then."""

    @property
    def messages(self) -> int:
        """All that were looked at."""
        return self.count + self.usable


@dataclass(slots=True)
class _View:
    stamps: StampCheck
    messages: int = 0
    """All that came, whatever they are."""
    of_other_view: int = 0
    """Those that are published under the other view's name."""
    frames: int = 0
    """Whose image could be decoded."""
    frame_ns: int | None = None
    """Arrival of the latest of them."""
    unpaired: int = 0
    """Of them since the latest pair."""
    unpaired_since_ns: int = 0
    refused: _Refused | None = None


@dataclass(frozen=True, slots=True)
class CheckedView:
    """What is known of a view before its first frame."""

    name: str
    """The source as the user wrote it."""
    feed: bool = False
    """Another program sends it, by a clock that may be any."""
    lasting: bool = False
    """It is a camera, which is gone on without where it gives no frame."""


@dataclass(slots=True)
class FrameCheck:
    """Learns of every message; `look`, to be called often, tells what is wrong.

    Live, times by this host's wall clock are converted; a view whose times still meet no time of the other view is set aside: its
    partner goes on alone until they meet again.
    """

    views: PerView[CheckedView]
    findings: Findings
    started_ns: int
    live: bool = True
    """Frames come at their camera's pace; else times may run ahead of arrival, and no view is set aside."""
    wall_minus_monotonic_ns: int = 0
    """Of this host's clocks."""
    why_silent: Callable[[View], str | None] = lambda view: None
    """Why a feed sends nothing, where its connection tells."""
    aside: View | None = None
    """The view that is not used now, since its times cannot be paired."""
    _converted: set[View] = field(default_factory=set)
    """Views that are stamped by this host's wall clock."""
    _states: PerView[_View] = field(init=False)
    _looked_ns: int = 0
    _alike_ns: int = 0
    """When the views' rates were last alike, or not known."""
    _apart_ns: int = 0
    """How far the views' times were apart when one was set aside."""

    def __post_init__(self) -> None:
        self._states = PerView.of(lambda view: _View(StampCheck(self.wall_minus_monotonic_ns)))

    def message(self, view: View, *, of_other_view: bool = False) -> None:
        """Note a message, usable or not."""
        state = self._states[view]
        state.messages += 1
        state.of_other_view += of_other_view

    def has_messages(self, view: View) -> bool:
        """Whether any message of a view has come under its own name."""
        return self._states[view].messages > self._states[view].of_other_view

    def refuse(self, view: View, error: WireError, now_ns: int) -> None:
        """Note that the latest message cannot be used."""
        state = self._states[view]
        if state.refused is None:
            state.refused = _Refused(now_ns)
        state.refused.count += 1
        state.refused.why, state.refused.image = str(error), isinstance(error, ImageError)

    def frame(self, view: View, seq: int, captured_ns: int, received_ns: int) -> None:
        """Note a frame that could be decoded, with its time in this host's clock as far as that is known."""
        state = self._states[view]
        state.frames += 1
        state.frame_ns = received_ns
        if state.refused is not None:
            state.refused.usable += 1
        state.stamps.add(seq, captured_ns, received_ns)
        if not state.unpaired:
            state.unpaired_since_ns = received_ns
        state.unpaired += 1

    def local_ns(self, view: View, captured_ns: int, received_ns: int) -> int:
        """A frame's time on the monotonic clock, where its view is known to be stamped by the wall clock."""
        offset_ns = captured_ns - received_ns
        converts = view in self._converted and abs(offset_ns - self.wall_minus_monotonic_ns) < abs(offset_ns)
        return captured_ns - self.wall_minus_monotonic_ns if converts else captured_ns

    def paired(self) -> None:
        """Note a pair of two real frames."""
        for state in self._states:
            state.unpaired = 0

    def complaint(self, view: View) -> str | None:
        """What is wrong with a view's frames, in a few words; None where nothing is known to be."""
        state = self._states[view]
        if state.refused is not None and state.refused.count >= _REFUSED_SHARE * state.refused.messages:
            return f"its latest malformed message was {state.refused.why}"
        fault = self._time_fault(view)
        return text.fault_words(fault) if fault is not None and fault.kind in UNUSABLE else None

    def look(self, now_ns: int) -> None:
        """Make findings of what has been wrong for long enough."""
        if now_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = now_ns
        for view in VIEWS:
            self._check_missing(view, now_ns)
            self._check_refused(view, now_ns)
        self._check_wall_clocks()
        self._check_apart(now_ns)
        self._check_stamps(now_ns)
        self._check_rates(now_ns)

    def _check_missing(self, view: View, now_ns: int) -> None:
        state, known = self._states[view], self.views[view]
        if self.has_messages(view):
            self.findings.withdraw("view_missing", view)
        elif (known.feed or (known.lasting and self.live)) and now_ns - self.started_ns >= MISSING_NS:
            sentence = text.missing(view, known.name, self.why_silent(view), state.of_other_view, self._instead(view, now_ns))
            self.findings.add(Finding("view_missing", sentence, "error", view))

    def _check_refused(self, view: View, now_ns: int) -> None:
        state = self._states[view]
        refused = state.refused
        if refused is None or now_ns - refused.since_ns < WINDOW_NS:
            return
        if refused.count < max(3, _REFUSED_SHARE * refused.messages):
            state.refused = None
            return
        usable = state.frame_ns is not None and now_ns - state.frame_ns < WINDOW_NS
        instead = None if usable else self._instead(view, now_ns)
        sentence = text.refused(
            self._called(view), refused.count, refused.messages, refused.why, image=refused.image, instead=instead
        )
        level: FindingLevel = "warning" if usable else "error"
        self.findings.add(Finding("images_undecodable" if refused.image else "messages_malformed", sentence, level, view))

    def _check_wall_clocks(self) -> None:
        """Convert the times of views that are stamped by this host's wall clock, as far as their arrival shows."""
        if not self.live:
            return
        for view in VIEWS:
            fault = self._time_fault(view)
            if fault is None or fault.kind != "wall_clock" or view in self._converted:
                continue
            if -_MAX_DELAY_NS < fault.offset_ns - self.wall_minus_monotonic_ns < _MAX_DELAY_NS / 10:
                self._converted.add(view)
                self.paired()

    def _check_apart(self, now_ns: int) -> None:
        left, right = self._states
        if self.aside is not None:
            self._check_together(self.aside, now_ns)
            return
        since_ns = max(left.unpaired_since_ns, right.unpaired_since_ns)
        if min(left.unpaired, right.unpaired) < MIN_FRAMES or now_ns - since_ns < WINDOW_NS:
            return
        if not all(self._present(view, now_ns) for view in VIEWS):
            return
        offsets_ns, faults = self._states.map(lambda state: state.stamps.offset_ns), PerView.of(self._time_fault)
        unusable: list[View] = [view for view in VIEWS if (fault := faults[view]) is not None and fault.kind in UNUSABLE]
        if len(unusable) == 2:
            return
        # The clock that is nearer to the arrival of its frames is more likely the right one.
        farther: View = "left" if abs(offsets_ns.left) >= abs(offsets_ns.right) else "right"
        suspect = unusable[0] if unusable else farther
        self._apart_ns = abs(offsets_ns.left - offsets_ns.right)
        if self.live:
            self.aside = suspect
        if not unusable:
            sentence = text.apart(suspect, self._called(suspect), offsets_ns, faults[suspect], self._instead(suspect, now_ns))
            self.findings.add(Finding("views_apart", sentence, "error"))

    def _check_together(self, aside: View, now_ns: int) -> None:
        """Use a view again whose times meet the other view's, or whose partner has gone."""
        state, partner = self._states[aside], self._states[other(aside)]
        if not self._present(other(aside), now_ns):
            self.aside = None
            return
        apart_ns, fault = abs(state.stamps.offset_ns - partner.stamps.offset_ns), self._time_fault(aside)
        if apart_ns < min(_TOGETHER_NS, self._apart_ns / 2) and (fault is None or fault.kind not in UNUSABLE):
            self.aside = None
            self.paired()
            for found in self.findings.all:
                if found.kind == "views_apart":
                    self.findings.add(Finding("views_apart", found.text, "warning"))

    def _check_stamps(self, now_ns: int) -> None:
        if not self.live:
            return
        faults = PerView.of(self._time_fault)
        numbers = PerView.of(lambda view: self._states[view].stamps.number_fault() if self.views[view].feed else None)
        apart = any(found.kind == "views_apart" for found in self.findings.all)
        for kinds in (faults, numbers):
            for view, fault in kinds.items():
                # Said already, of both views together.
                if fault is None or (apart and fault.kind in ANOTHER_CLOCK):
                    continue
                partner = kinds[other(view)]
                both = partner is not None and partner.kind == fault.kind and partner.unit == fault.unit
                instead = self._instead(view, now_ns) if view == self.aside else None
                called = "both feeds" if both else self._called(view)
                if fault.kind == "wall_clock" and view in self._converted:
                    apart_ns = None if both else fault.offset_ns - self._states[other(view)].stamps.offset_ns
                    sentence = text.wall_clock(called, other(view), apart_ns)
                else:
                    sentence = text.fault(called, fault, instead)
                level: FindingLevel = "error" if fault.kind in UNUSABLE else "warning"
                kind = f"times_{fault.kind}" if kinds is faults else f"frame_{fault.kind}"
                self.findings.add(Finding(kind, sentence, level, None if both else view))
                if both:
                    break

    def _check_rates(self, now_ns: int) -> None:
        """Whether the views give frames at rates so different that many have no partner; of own cameras another check tells."""
        if not self.live or not any(view.feed for view in self.views):
            return
        left, right = (state.stamps.per_s if self._present(view, now_ns) else None for view, state in self._states.items())
        if left is None or right is None or max(left, right) < _RATE_RATIO * min(left, right):
            self._alike_ns = now_ns
            self.findings.withdraw("rates_differ")
        elif now_ns - max(self._alike_ns, self.started_ns) >= _RATE_NS:
            self.findings.add(Finding("rates_differ", text.rates(PerView(left, right))))

    def _time_fault(self, view: View) -> StampFault | None:
        """Our own capture processes stamp by the right clock, and clips by one that we made."""
        return self._states[view].stamps.time_fault() if self.views[view].feed else None

    def _present(self, view: View, now_ns: int) -> bool:
        frame_ns = self._states[view].frame_ns
        return frame_ns is not None and now_ns - frame_ns < _PRESENT_NS

    def _instead(self, view: View, now_ns: int) -> View | None:
        """The view that a live run goes on with in place of this one."""
        return other(view) if self.live and self.views[view].lasting and self._present(other(view), now_ns) else None

    def _called(self, view: View) -> str:
        return f"the {view} {'feed' if self.views[view].feed else 'camera'}"
