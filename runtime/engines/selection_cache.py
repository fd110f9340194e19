"""Which engine was chosen in an earlier run, when and by which times: one small JSON file for each, in the user's cache."""

import hashlib
import logging
import time
from pathlib import Path
from typing import Literal

import msgspec

from hand.files import write_atomically
from hand.folders import cache_folder
from runtime.engines.int8 import plan_file
from runtime.engines.machine import machine, versions
from runtime.engines.names import EngineKind
from runtime.networks.weights import Manifest

log = logging.getLogger(__name__)

MAX_AGE_S = 7 * 86_400
"""A selection older than this is to be tried again: drivers, governors and what else the machine does change."""


class EngineSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A selected engine."""

    version: Literal[2] = 2
    """Of this file; another one is not read."""
    engine: EngineKind
    ms: dict[EngineKind, float]
    """What each engine took for a pair."""
    int8_mm: float | None = None
    """How far int8's joints are from torch's on average; None where there is no int8."""
    refused: dict[EngineKind, str] = {}
    """Engines that failed the parity check, and why."""
    chosen_s: float
    """When, time of day in seconds since 1970."""
    weights: str
    """Name of the weights' file."""
    threads: int | None = None
    """Of the CPU; None for all."""

    @staticmethod
    def key(manifest: Manifest, weights: Path, threads: int | None) -> str:
        """What a selection holds for: this machine, these libraries, these weights and their plan for int8, so many threads."""
        plan = plan_file(weights)
        calibrated = plan.read_bytes() if plan.is_file() else b""
        parts = (machine(), sorted(versions().items()), manifest.architecture, manifest.sha256, calibrated, threads)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]

    @property
    def date(self) -> str:
        """When it was chosen, in local time, such as 2026-12-01."""
        return time.strftime("%Y-%m-%d", time.localtime(self.chosen_s))

    def due(self, now_s: float) -> bool:
        """Whether it is to be tried again; also where the clock was set back since."""
        return not 0 <= now_s - self.chosen_s < MAX_AGE_S


def load_selection(key: str) -> EngineSelection | None:
    """What was chosen; None where nothing was, or it cannot be read: then it is chosen anew."""
    return _read(_file(key))


def save_selection(key: str, selection: EngineSelection) -> None:
    """Keep it where the cache can be written; else the next start chooses anew, which is logged."""
    file = _file(key)
    try:
        write_atomically(file, msgspec.json.encode(selection))
    except OSError as error:
        log.warning(f"the engine cannot be remembered in {file} ({error.strerror}): every start chooses anew; make it writable")


def clear_selection(key: str) -> None:
    _file(key).unlink(missing_ok=True)


def remembered_selections() -> list[EngineSelection]:
    """All that can be read, for whatever weights and threads, newest first."""
    found = (_read(file) for file in cache_folder("engines").glob("*.json"))
    return sorted((one for one in found if one is not None), key=lambda one: -one.chosen_s)


def _read(file: Path) -> EngineSelection | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=EngineSelection)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.debug(f"the remembered engine in {file} is not used: {error}")
        return None


def _file(key: str) -> Path:
    return cache_folder("engines") / f"{key}.json"
