"""Whether two cameras suffice: which are connected, what their USB bus carries, and both at once for some seconds."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator

from capture.masking import masked
from capture.sources.base import DEFAULT_MODE
from capture.sources.device import Device
from capture.sources.registry import parse_source
from capture.sources.v4l2 import CameraInfo, cameras
from capture.stream import PairStream
from capture.views import VIEWS, PerView
from hand.errors import UserError
from runtime.reporting.skew import Skew
from tools.doctor.finding import Finding

PATTERNS = PerView("pattern?rate=30", "pattern?rate=30")
"""Test patterns, which cost little, through the same processes and sockets as cameras."""
MIN_RATE = 0.85
"""Share of the requested rate."""
MAX_SKEW = 0.5
"""95th percentile, in frame periods."""
MAX_DROPPED = 0.1
"""Share of the received frames."""
_MJPG_BITS, _RAW_BITS = 2.0, 16.0
"""A pixel, roughly."""
_USABLE = 0.8
"""Of a bus's speed."""


def check_cameras(found: list[CameraInfo] | None = None) -> Iterator[Finding]:
    """The cameras of this host, and the buses that they share."""
    found = cameras() if found is None else found
    if not found:
        yield Finding("warning", "cameras", "none is connected", "connect two, or give feeds or files with --left and --right")
        return
    for info in found:
        name = f"{info.path} {info.name}"
        if info.problem:
            advice = "join the group video (sudo usermod -aG video $USER) and log in again"
            yield Finding("problem", "camera", f"{name} cannot be opened: {info.problem}", advice)
        elif not any(mode.fourcc == "MJPG" for mode in info.modes) and info.usb:
            yield Finding("warning", "camera", f"{name} offers no MJPG", "connect two raw cameras to different USB controllers")
        else:
            yield Finding("ok", "camera", f"{name} ({info.usb or info.bus or 'unknown bus'})")
    yield from _buses(found)


def _buses(found: list[CameraInfo]) -> Iterator[Finding]:
    shared: dict[str, list[CameraInfo]] = defaultdict(list)
    for info in found:
        if info.usb:
            shared[info.usb].append(info)
    pixels_per_s = DEFAULT_MODE.width * DEFAULT_MODE.height * DEFAULT_MODE.fps
    for bus, those in shared.items():
        speed = re.search(r"([\d.]+) Mbit/s", bus)
        if speed is None:
            continue
        usable = _USABLE * float(speed[1])
        needed = len(those) * pixels_per_s * _MJPG_BITS / 1e6
        raw = len(those) * pixels_per_s * _RAW_BITS / 1e6
        what = f"{bus}: {len(those)} cameras need about {needed:.0f} Mbit/s as MJPG, {raw:.0f} raw; it carries {usable:.0f}"
        if needed > usable:
            yield Finding("problem", "USB", what, "connect one of them to a port of another USB controller")
        elif raw > usable and len(those) > 1:
            yield Finding("ok", "USB", f"{what}: use MJPG")
        else:
            yield Finding("ok", "USB", what)


def check_two_cameras(left: str | None, right: str | None, seconds: float) -> Iterator[Finding]:
    """Both cameras at once: rates, skew, drops."""
    given = [source for source in (left, right) if source]
    found = [info.path for info in cameras() if not info.problem and info.path not in given]
    sources = PerView(left or (found.pop(0) if found else PATTERNS.left), right or (found.pop(0) if found else PATTERNS.right))
    is_pattern = sources == PATTERNS
    topic = "transport" if is_pattern else "two cameras"
    if is_pattern:
        yield Finding("ok", topic, "test patterns stand in for cameras (--left and --right name others)")
    try:
        yield from _stream(sources, seconds, topic)
    except UserError as error:
        yield Finding("problem", topic, str(error))


def _stream(sources: PerView[str], seconds: float, topic: str) -> Iterator[Finding]:
    skew, pairs = Skew(), 0
    with PairStream(sources) as stream:
        for note in stream.notes:
            yield Finding("ok", topic, note)
        first = stream.next_pair(20.0)
        before, began = stream.received, time.monotonic()
        while first is not None and time.monotonic() < began + seconds and not stream.ended:
            pair = stream.next_pair(0.1)
            if pair is not None and pair.complete:
                pairs += 1
                skew.add(pair.skew_ns)
        passed = time.monotonic() - began
        received, drops, failure = stream.received, stream.drops, stream.failure
    if failure or not pairs:
        yield Finding("problem", topic, failure or "no pair was received", "test each camera alone (see python -m tools.cameras)")
        return
    for view in VIEWS:
        is_device = isinstance(parse_source(sources[view], secured=True), Device)
        yield _rate(topic, f"{view} {masked(sources[view])}", (received[view] - before[view]) / passed, is_device)
    yield _skew(topic, skew, pairs, passed)
    yield _drops(topic, drops, sum(received))


def _rate(topic: str, name: str, per_s: float, is_device: bool) -> Finding:
    what = f"{name}: {per_s:.1f} frames/s"
    if is_device and per_s < MIN_RATE * DEFAULT_MODE.fps:
        advice = "use more light (long exposures slow cameras down), another USB port, or a shorter --exposure"
        return Finding("warning", topic, f"{what} of {DEFAULT_MODE.fps:g} requested", advice)
    return Finding("ok", topic, what)


def _skew(topic: str, skew: Skew, pairs: int, seconds: float) -> Finding:
    stats = skew.stats()
    what = f"{pairs / seconds:.1f} pairs/s, skew {stats.p50_ms:.1f} ms (median), {stats.p95_ms:.1f} ms (95th percentile)"
    if stats.p95_ms > MAX_SKEW * 1e3 / DEFAULT_MODE.fps:
        return Finding("warning", topic, what, "fast motion will be inaccurate: use two cameras of one model at one rate")
    return Finding("ok", topic, what)


def _drops(topic: str, drops: dict[str, int], received: int) -> Finding:
    # Superseded pairs come from this test's own reading, not from the cameras.
    lost = {reason: count for reason, count in drops.items() if reason != "superseded" and count}
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(lost.items()))
    if sum(lost.values()) > MAX_DROPPED * max(received, 1):
        return Finding(
            "warning", topic, f"{received} frames received, dropped: {counted}", "close other programs, or use a smaller size"
        )
    return Finding("ok", topic, f"{received} frames received, dropped: {counted or 'none'}")
