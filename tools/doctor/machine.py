"""Whether the machine suffices: Python, cores, memory, disk, ports, clock."""

import contextlib
import ctypes
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from tools.doctor.finding import Finding

MIN_PYTHON = (3, 11)
PORTS = {5601: "a headset's left camera", 5602: "a headset's right camera", 5570: "published hands"}
"""TCP ports of the examples in the documentation."""
RAW_MB_PER_S = 55.3
"""Two cameras of 640x480 at 30 Hz, not compressed."""
_STA_UNSYNC, _STATUS_OFFSET, _MAXERROR_OFFSET = 0x40, 40, 24
"""Of `struct timex` on 64-bit Linux (adjtimex(2))."""


def check_machine() -> Iterator[Finding]:
    yield _python()
    yield _strength()
    yield _disk(Path.cwd())
    for port, purpose in PORTS.items():
        yield check_port(port, purpose)
    yield _clock()


def check_port(port: int, purpose: str) -> Finding:
    """Whether a TCP port of this host is free."""
    topic = f"port {port}"
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"give another port for {purpose}, or end the program that uses this one (ss -ltnp shows it)"
            return Finding("warning", topic, f"cannot be used: {error.strerror}", advice)
    return Finding("ok", topic, f"free, for {purpose}")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        return Finding("problem", "Python", version, "install Python 3.11 or newer; then make setup PYTHON=/path/to/python3.11")
    if sys.platform != "linux":
        return Finding(
            "warning",
            "Python",
            f"{version} on {sys.platform}",
            "only Linux is tested: cameras and ipc addresses may fail here",
        )
    return Finding("ok", "Python", f"{version} on {platform.system()} {platform.release()}")


def _strength() -> Finding:
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory()
    load = psutil.getloadavg()[0]
    what = f"{cores} cores, load {load:.1f}, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of memory free"
    if memory.available < 2 * 2**30:
        return Finding("warning", "machine", what, "close other programs until 2 GiB are free")
    if load > cores:
        return Finding("warning", "machine", what, "the machine is busy: close other programs, or the times below are too long")
    if cores < 2:
        return Finding("warning", "machine", what, "cameras, network and viewer share one core: expect few pairs a second")
    return Finding("ok", "machine", what)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    minutes = free / (RAW_MB_PER_S * 1e6) / 60
    what = f"{free / 2**30:.0f} GiB free here, enough to record two raw cameras for at least {minutes:.0f} minutes"
    if minutes < 5:
        return Finding("warning", "disk", what, "free some space, or record with --record-format jpeg")
    return Finding("ok", "disk", what)


def _clock() -> Finding:
    """Capture times need no synchronised clock, except those of other hosts that stamp by the time of day."""
    state = _adjtimex()
    if state is None:
        return Finding(
            "ok", "clock", "this system does not say whether its clock is synchronised; only LeRobot's stream needs that"
        )
    is_set, error_ms = state
    if is_set:
        return Finding("ok", "clock", f"synchronised by the network to within {error_ms:.0f} ms")
    advice = "for LeRobot's stream from another host run sudo timedatectl set-ntp true; nothing else needs it"
    return Finding("warning", "clock", "not synchronised by the network", advice)


def _adjtimex() -> tuple[bool, float] | None:
    """Whether the clock is synchronised, and its largest error, ms; None where the system does not say."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    buffer = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return None
    status = ctypes.c_int.from_buffer(buffer, _STATUS_OFFSET).value
    return not status & _STA_UNSYNC, ctypes.c_long.from_buffer(buffer, _MAXERROR_OFFSET).value / 1e3
