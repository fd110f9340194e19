"""Helpers for child processes: start one that ignores Ctrl-C, give way to all others."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """A process started within ignores SIGINT: Ctrl-C goes to the whole process group, but the parent ends its children."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def give_way() -> None:
    """From now on this process runs only when no other one wants the processor."""
    os.nice(19)
    # The idle class gives way at once where a nice process still has its share; it is Linux's.
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
