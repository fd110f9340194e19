"""How a remembered engine is tried again now and then: aside, while a stream runs, for the next start."""

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from hand.logs import configure
from runtime.engines.machine import gpu
from runtime.engines.selection_cache import EngineSelection, clear_selection, load_selection
from runtime.networks.weights import Manifest
from runtime.processes import give_way, ignoring_interrupts


def reselect_if_due(
    manifest: Manifest, weights: Path, threads: int | None, now_s: float | None = None, *, low_priority: bool = True
) -> BaseProcess | None:
    """Where the engine that is remembered is due, choose it anew in a process of its own.

    At `low_priority` it runs only when nothing else does. It replaces what is remembered unless the machine was busy; the engine
    in use stays. On a GPU every engine would get in the stream's way: there the next start chooses anew. Returns the process, a
    daemon, if one was started.
    """
    key = EngineSelection.key(manifest, weights, threads)
    selection = load_selection(key)
    if selection is None or not selection.due(time.time() if now_s is None else now_s):
        return None
    if gpu():
        clear_selection(key)
        return None
    process = multiprocessing.get_context("spawn").Process(
        target=_reselect, args=(weights, threads, low_priority), name="engines", daemon=True
    )
    with ignoring_interrupts():
        process.start()
    return process


def _reselect(weights: Path, threads: int | None, low_priority: bool) -> None:
    from runtime.engines.selection import select_engine

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if low_priority:
        give_way()
    # What it finds is told by the next start.
    configure("error", name=f"engines, process {os.getpid()}")
    select_engine("auto", weights, threads=threads, anew=True)
