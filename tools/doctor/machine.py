"""Whether the machine itself will do: Python, cores, memory, disk, ports, the clock."""

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

LEAST_PYTHON = (3, 11)
PORTS = {5601: "a headset's left camera", 5602: "a headset's right camera", 5570: "published hands"}
"""TCP ports that our examples use."""
RAW_MB_PER_S = 55.3
"""Two cameras of 640x480 at 30 Hz, not compressed."""
_STA_UNSYNC, _STATUS_OFFSET, _MAXERROR_OFFSET = 0x40, 40, 24
"""Of `struct timex` on 64-bit Linux (adjtimex(2))."""


def look_at_machine() -> Iterator[Finding]:
    yield _python()
    yield _strength()
    yield _disk(Path.cwd())
    for port, purpose in PORTS.items():
        yield look_at_port(port, purpose)
    yield _clock()


def look_at_port(port: int, purpose: str) -> Finding:
    """Whether a TCP port of this host is free."""
    topic = f"port {port}"
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"for {purpose} give another port, or end the program that holds it (ss -ltnp)"
            return Finding("warning", topic, f"not to be had: {error.strerror}", advice)
    return Finding("ok", topic, f"free, for {purpose}")


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < LEAST_PYTHON:
        return Finding("problem", "Python", version, "install Python 3.11 or newer and run make setup PYTHON=/path/to/python3.11")
    if sys.platform != "linux":
        return Finding(
            "warning", "Python", f"{version} on {sys.platform}", "only Linux is tried: devices and ipc may not work here"
        )
    return Finding("ok", "Python", f"{version} on {platform.system()} {platform.release()}")


def _strength() -> Finding:
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory()
    load = psutil.getloadavg()[0]
    what = f"{cores} cores, load {load:.1f}, {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB of memory free"
    if memory.available < 2 * 2**30:
        return Finding("warning", "machine", what, "close other programs: 2 GiB should be free")
    if load > cores:
        return Finding(
            "warning", "machine", what, "it is busy: close other programs, or all that follows is slower than it need be"
        )
    if cores < 2:
        return Finding("warning", "machine", what, "cameras, network and viewer share one core: expect few pairs a second")
    return Finding("ok", "machine", what)


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    minutes = free / (RAW_MB_PER_S * 1e6) / 60
    what = f"{free / 2**30:.0f} GiB free here: at least {minutes:.0f} minutes of --record of two raw cameras"
    if minutes < 5:
        return Finding("warning", "disk", what, "make room, or record with --record-format jpeg")
    return Finding("ok", "disk", what)


def _clock() -> Finding:
    """Capture times need no set clock; those of other hosts' that stamp by the time of day do."""
    told = _adjtimex()
    if told is None:
        return Finding(
            "ok", "clock", "this system does not tell whether it is set by the network; only LeRobot's stream needs that"
        )
    is_set, error_ms = told
    if is_set:
        return Finding("ok", "clock", f"set by the network, to within {error_ms:.0f} ms")
    advice = "only LeRobot's stream from another host needs that: sudo timedatectl set-ntp true"
    return Finding("warning", "clock", "not set by the network", advice)


def _adjtimex() -> tuple[bool, float] | None:
    """Whether the clock is set by another, and how far off it may be, ms; None where the system does not tell."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    buffer = ctypes.create_string_buffer(512)
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return None
    status = ctypes.c_int.from_buffer(buffer, _STATUS_OFFSET).value
    return not status & _STA_UNSYNC, ctypes.c_long.from_buffer(buffer, _MAXERROR_OFFSET).value / 1e3
