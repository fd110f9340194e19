"""Atomic file writes."""

import os
import tempfile
from pathlib import Path


def write_atomically(file: Path, data: bytes) -> None:
    """Write `data`, completely or not at all; folders are made. Raises OSError, with nothing left behind, where that fails."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", suffix=".tmp", delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(data)
            stream.flush()
            # Without it, a power cut may leave the new name on an empty file.
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise
