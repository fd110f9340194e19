"""What is wrong with the frames that arrive, as sentences for the user."""

from capture.stamp_check import StampFault
from capture.views import PerView, View, other

_FORMAT = "capture/PROTOCOL.md describes the format"
_ONE_CLOCK = "stamp both views by one clock, or let the feed answer clock probes and give its clock_port in each header"
_MONOTONIC = "stamp by this host's CLOCK_MONOTONIC, or answer clock probes and give clock_port in each header"


def no_pairs(received: PerView[int]) -> str:
    """A run that has ended without a pair; `received`: frames of each view."""
    silent = [view for view, count in received.items() if not count]
    if silent:
        what = "neither view has sent a frame" if len(silent) == 2 else f"the {silent[0]} view has sent none"
        return f"no pair of frames came: {what}; check that it runs, and start again"
    frames = f"{received.left} frames of the left and {received.right} of the right view"
    return f"no pair of frames came: {frames} have no time in common; give recordings of one time, or their --offset"


def missing(view: View, name: str, why: str | None, of_other_view: int, instead: View | None) -> str:
    """A view of which no message has come."""
    if of_other_view:
        reason = (
            f"{of_other_view} messages of view {other(view)!r} have come from there; check that the {view} camera runs, and is "
            f"published under its own view, {view!r}"
        )
    else:
        reason = why or f"check that it runs and publishes view {view!r}"
    return f"no frame of the {view} view has come from {name!r}{_then(instead)}: {reason}"


def refused(called: str, count: int, messages: int, why: str, *, image: bool, instead: View | None) -> str:
    """Messages of a view that cannot be used; `called` is the view's name in the sentence."""
    if image:
        what, advice = "frames of {} cannot be decoded", "send one whole image of the announced format and size in each message"
    else:
        what, advice = "messages of {} are refused", _FORMAT
    return f"{count} of {messages} {what.format(called)}{_then(instead)}: {why}; {advice}"


def apart(view: View, called: str, offsets_ns: PerView[int], fault: StampFault | None, instead: View | None) -> str:
    """Two views whose times never meet, of which `view` is more likely wrong."""
    apart_s = abs(offsets_ns.left - offsets_ns.right) / 1e9
    distance = f"{apart_s:.1f} s" if apart_s < 1e6 else f"{apart_s:.2g} s"
    if fault is not None and fault.kind == "wall_clock":
        clocks = f"{called} stamps by the wall clock (time since 1970), the {other(view)} one by a monotonic clock"
    else:
        places = ", ".join(f"{each} {offset_ns / 1e9:+.1f} s" for each, offset_ns in offsets_ns.items())
        clocks = f"against the arrival of the frames {places}"
    return f"no pair of frames{_then(instead)}: the views' times are {distance} apart, {clocks}; {_ONE_CLOCK}"


def rates(per_s: PerView[float]) -> str:
    """Two views whose cameras give frames at different rates."""
    faster: View = "left" if per_s.left > per_s.right else "right"
    slower = other(faster)
    return (
        f"the {faster} view gives {per_s[faster]:.1f} frames a second and the {slower} one {per_s[slower]:.1f}: frames of the "
        f"{faster} view without a partner of about the same time are left out; set both cameras to one rate"
    )


def wall_clock(called: str, partner: View, apart_ns: int | None) -> str:
    """Times by the wall clock that are converted; `apart_ns` from the other view's times, where those are by another clock."""
    verb, than = ("stamp", "") if apart_ns is None else ("stamps", f", the {partner} view by a monotonic clock")
    distance = "" if apart_ns is None else f", {abs(apart_ns) / 1e9:.2g} s apart"
    return (
        f"{called} {verb} by the wall clock (time since 1970){than}{distance}: converted by this host's clocks, which is right "
        f"for a sender on this host only; {_ONE_CLOCK}"
    )


def fault(called: str, found: StampFault, instead: View | None) -> str:
    """What is wrong with the numbers or times of a view, or of `both feeds`."""
    return f"{called}{_then(instead, bracket=True)}: {fault_words(found)}; {_advice(found)}"


def fault_words(found: StampFault) -> str:
    """The same without names and advice."""
    of = f"{found.frames} of the last {found.count} frames"
    match found.kind:
        case "constant":
            return f"all frames are stamped {found.value} ns, so that no two can be told apart in time"
        case "counter":
            return f"captured_ns counts frames ({found.value} by now) in place of nanoseconds"
        case "unit":
            speed = f"{1 / found.ratio:,.0f} times too slowly" if 0 < found.ratio < 1 else f"{found.ratio:,.3g} times as fast"
            unit = f": they seem to be {found.unit}" if found.unit else ""
            return f"times advance {speed} (captured_ns {found.value}){unit}"
        case "backwards":
            return f"{of} are stamped no later than the one before, and are dropped as late"
        case "wall_clock":
            return "frames are stamped by the wall clock (time since 1970), so that latencies are not known"
        case "ahead":
            return f"frames are stamped {found.offset_ns / 1e9:.1f} s after they arrive, so that latencies are not known"
        case "behind":
            return f"frames are stamped {-found.offset_ns / 1e9:.1f} s before they arrive, so that latencies are not known"
        case "number_constant":
            return f"all frames have the number {found.value}, so that lost ones are not noticed"
        case "number_repeats":
            return f"{of} have a number (seq) that is not above the one before, so that lost ones are not noticed"
        case "number_jumps":
            return f"numbers (seq) grow by {found.ratio:.0f} from frame to frame, as if all in between were lost"


def _advice(found: StampFault) -> str:
    match found.kind:
        case "constant" | "backwards":
            return "give each frame the time of its exposure in captured_ns"
        case "counter":
            return "the count belongs into seq, and the time of exposure into captured_ns"
        case "unit":
            return "give captured_ns in nanoseconds"
        case "wall_clock" | "ahead" | "behind":
            return _MONOTONIC
        case "number_constant" | "number_repeats":
            return "count seq up by one a frame; where two cameras are published as one view, give each its own"
        case "number_jumps":
            return "count seq up by one a frame"


def _then(instead: View | None, *, bracket: bool = False) -> str:
    if instead is None:
        return ""
    return f" (going on with the {instead} one)" if bracket else f", going on with the {instead} one"
