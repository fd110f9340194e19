"""What the headers of two clips tell of them as a pair: their lengths, and when they were begun."""

from datetime import timedelta

from capture.clip_timing import ClipTiming
from capture.sources.clip_header import ClipHeader
from capture.views import PerView
from hand.findings import Finding

_LENGTH_S, _LENGTH_SHARE = 1.0, 0.1
"""Lengths differ where they differ by more than both."""


def compare_headers(headers: PerView[ClipHeader], timing: PerView[ClipTiming] | None = None) -> list[Finding]:
    """What their user should know; `timing` is None where both are taken to begin together and to play as fast."""
    return [finding for finding in (_lengths(headers, timing), _beginnings(headers, timing)) if finding is not None]


def _lengths(headers: PerView[ClipHeader], timing: PerView[ClipTiming] | None) -> Finding | None:
    left_s, right_s = headers.left.duration_s, headers.right.duration_s
    if left_s is None or right_s is None:
        return None
    if timing is not None:
        left_s, right_s = left_s / timing.left.slower, right_s / timing.right.slower
    longer_s, shorter_s = max(left_s, right_s), min(left_s, right_s)
    if longer_s - shorter_s <= max(_LENGTH_S, _LENGTH_SHARE * longer_s):
        return None
    times = f" ({longer_s / shorter_s:.1f} times as long)" if shorter_s > 0 else ""
    longer, shorter = ("left", "right") if left_s > right_s else ("right", "left")
    hint = "" if timing is not None else "; if one is in slow motion, give --rate auto"
    text = (
        f"the {longer} clip lasts {longer_s:.1f} s and the {shorter} one {shorter_s:.1f} s{times}: "
        f"frames without a partner are left out{hint}"
    )
    return Finding("clip_lengths", text, "info")


def _beginnings(headers: PerView[ClipHeader], timing: PerView[ClipTiming] | None) -> Finding | None:
    left, right = headers.left.created_at, headers.right.created_at
    if left is None or right is None or left == right or timing is not None:
        return None
    later = "right" if right > left else "left"
    text = (
        f"by their headers the {later} clip was begun {_duration(abs(right - left))} after the other (whole seconds alone are "
        "told): both are taken to begin together; give --offset auto or --offset SECONDS if they did not"
    )
    return Finding("clip_creation_times", text, "info")


def _duration(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s" if time < timedelta(hours=1) else str(time)
