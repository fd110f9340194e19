"""Which engine was the fastest in an earlier run: one small JSON file for each selection, in the user's cache."""

import hashlib
import os
from pathlib import Path

import msgspec

from hand.folders import cache_folder
from runtime.engines.int8 import plan_file
from runtime.engines.machine import machine, versions
from runtime.engines.names import EngineKind
from runtime.networks.weights import Manifest


class EngineSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A selected engine."""

    engine: EngineKind
    why: str
    """What each engine took."""

    @staticmethod
    def key(manifest: Manifest, weights: Path, threads: int | None) -> str:
        """What a selection holds for: this machine, these libraries, these weights and their plan for int8, so many threads."""
        plan = plan_file(weights)
        calibrated = plan.read_bytes() if plan.is_file() else b""
        parts = (machine(), sorted(versions().items()), manifest.architecture, manifest.sha256, calibrated, threads)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def load_selection(key: str) -> EngineSelection | None:
    """What was chosen; None where nothing was, or it cannot be read: then it is chosen anew."""
    try:
        return msgspec.json.decode(_file(key).read_bytes(), type=EngineSelection)
    except (OSError, msgspec.DecodeError):
        return None


def save_selection(key: str, selection: EngineSelection) -> None:
    """Keep it where the cache can be written; else the next start chooses anew."""
    file = _file(key)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(msgspec.json.encode(selection))
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)


def clear_selection(key: str) -> None:
    _file(key).unlink(missing_ok=True)


def _file(key: str) -> Path:
    return cache_folder("engines") / f"{key}.json"
