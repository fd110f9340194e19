"""What the headers of two clips tell of them as a pair: their lengths, and when they were begun."""

from datetime import timedelta

from capture.sources.clip_header import ClipHeader
from capture.views import PerView
from hand.findings import Finding

_LENGTH_S, _LENGTH_SHARE = 1.0, 0.1
"""Lengths differ where they differ by more than both."""


def compare_headers(headers: PerView[ClipHeader], *, offset_s: float | None) -> list[Finding]:
    """What their user should know; `offset_s` is None where both are taken to begin together."""
    return [finding for finding in (_lengths(headers), _beginnings(headers, offset_s)) if finding is not None]


def _lengths(headers: PerView[ClipHeader]) -> Finding | None:
    left_s, right_s = headers.left.duration_s, headers.right.duration_s
    if left_s is None or right_s is None:
        return None
    longer_s, shorter_s = max(left_s, right_s), min(left_s, right_s)
    if longer_s - shorter_s <= max(_LENGTH_S, _LENGTH_SHARE * longer_s):
        return None
    times = f" ({longer_s / shorter_s:.1f} times as long)" if shorter_s > 0 else ""
    text = (
        f"one clip lasts {longer_s:.1f} s and the other {shorter_s:.1f} s{times}: frames without a partner are left out; "
        "if one is in slow motion, give --rate auto"
    )
    return Finding("clip_lengths", text, "info")


def _beginnings(headers: PerView[ClipHeader], offset_s: float | None) -> Finding | None:
    left, right = headers.left.created_at, headers.right.created_at
    if left is None or right is None or left == right or offset_s is not None:
        return None
    later = "right" if right > left else "left"
    text = (
        f"by their headers the {later} clip was begun {_duration(abs(right - left))} after the other (whole seconds alone are "
        "told): both are taken to begin together; give --offset auto or --offset SECONDS if they did not"
    )
    return Finding("clip_creation_times", text, "info")


def _duration(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s" if time < timedelta(hours=1) else str(time)
