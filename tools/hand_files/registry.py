"""Which files hands can be written to, by the ending of their names."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from hand.files import saving
from runtime.outputs.hand_line import HandLine

WRITERS: dict[str, tuple[str, str]] = {
    ".npz": ("tools.hand_files.arrays", "write_arrays"),
    ".csv": ("tools.hand_files.table", "write_csv"),
    ".parquet": ("tools.hand_files.table", "write_parquet"),
    ".bvh": ("tools.hand_files.bvh", "write_bvh"),
}
"""Ending → module and function; imported when asked for."""


def write_hands(hands: Sequence[HandLine], to: Path) -> None:
    """Write the file whole or not at all. Raises UserError for what its format cannot hold, and where it cannot be written."""
    module, function = WRITERS[to.suffix.lower()]
    write: Callable[[Sequence[HandLine], Path], None] = getattr(importlib.import_module(module), function)
    with saving(to) as part:
        write(hands, part)
