"""Files that are written whole or not at all, whatever happens meanwhile."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, data: bytes) -> None:
    """Write `data`; folders are made. Raises OSError, with nothing left behind, where that cannot be."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", suffix=".tmp", delete=False) as stream:
            beside = Path(stream.name)
            stream.write(data)
            stream.flush()
            # Without it, a power cut may leave the new name on an empty file.
            os.fsync(stream.fileno())
        beside.replace(file)
    except BaseException:
        if beside:
            beside.unlink(missing_ok=True)
        raise
