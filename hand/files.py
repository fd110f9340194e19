"""How files are written whole or not at all, and files of lines whole to their last line."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from hand.errors import UserError

_OWN_STREAM = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")
"""Names of a program's own streams: what they lead to was chosen by who started it."""


def write_atomically(file: Path, data: bytes) -> None:
    """Write `data`, completely or not at all; folders are made. Raises OSError, with nothing left behind, where that fails."""
    with beside(file) as part:
        part.write_bytes(data)


@contextmanager
def beside(file: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A name in the folder of `file` to write to, which becomes the file once the block ends.

    Folders are made. A device or a pipe is written to directly. Raises OSError, with nothing left behind, where that fails or the
    block does.
    """
    if is_stream(file):
        yield file
        return
    # What a link leads to is replaced, not the link.
    place = file.resolve()
    _make_folder(place.parent)
    part = part_of(place)
    try:
        yield part
        take_place(part, place, overwrite=overwrite)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def saving(file: Path) -> Iterator[Path]:
    """`beside`, for commands. Raises UserError where the file cannot be written."""
    try:
        with beside(file) as part:
            yield part
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}; {advice(error)}") from error


@contextmanager
def saving_lines(file: Path, *, overwrite: bool = False) -> Iterator["LineFile"]:
    """A `LineFile`, for commands. Raises UserError where it cannot be written; what was written is kept."""
    written: LineFile | None = None
    try:
        with LineFile(file, overwrite=overwrite) as written:
            yield written
    except OSError as error:
        state = f"{file} breaks off after {written.lines} lines" if written else f"cannot write {file}"
        raise UserError(f"{state}: {error.strerror or error}; {advice(error)}") from error


def part_of(place: Path, suffix: str = ".part") -> Path:
    """A new hidden name in the same folder. Its ending is another one, so that nobody takes it for a whole file."""
    # A name has at most 255 bytes.
    return place.with_name(f".{place.stem[:40]}-{secrets.token_hex(4)}{suffix}")


def take_place(part: Path, place: Path, *, overwrite: bool) -> None:
    """Let the written file `part` be `place`. Raises OSError."""
    if is_stream(place):
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(place))
    # Some file systems tell that there is no room only now; and a power cut may leave the new name on an empty file.
    with part.open("rb") as written:
        os.fsync(written.fileno())
    if not overwrite and place.exists():
        raise FileExistsError(errno.EEXIST, "another program has made it meanwhile", str(place))
    part.replace(place)


def is_stream(file: Path) -> bool:
    """Whether it is no file but a terminal, a pipe, /dev/null or the like. Raises OSError."""
    if _OWN_STREAM.fullmatch(os.path.abspath(file)):
        return True
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _make_folder(folder: Path) -> None:
    """Raises OSError, NotADirectoryError where it is a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def advice(error: OSError) -> str:
    """What a user can do about an output that failed."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space, or give a file on another disk"
        case errno.EFBIG:
            return "a file may not be larger here: raise the limit (ulimit -f), or give a file on another disk"
        case errno.EPIPE:
            return "what reads it has ended"
        case errno.EEXIST:
            return "give another name"
        case _:
            return "give a file that can be written"


class LineFile:
    """A file of lines that can be read while it is written, and ends with a whole line whatever happens.

    One that replaces another is written beside it, and takes its place when it is closed.
    """

    def __init__(self, file: Path, *, overwrite: bool = False) -> None:
        """Folders are made. Raises OSError where it cannot be made, or is there already and is not to be overwritten."""
        self.lines = 0
        """Lines written."""
        self._place = file.resolve()
        self._is_stream = is_stream(file)
        self._part = part_of(self._place) if overwrite and not self._is_stream and self._place.exists() else None
        self._size = 0
        if not self._is_stream:
            _make_folder(self._place.parent)
        # Unbuffered, so that each line is there at once and an error is that of its line.
        self._file = file.open("wb", 0) if self._is_stream else (self._part or self._place).open("xb", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write(self, line: bytes) -> None:
        """Add a line, given without its end. Raises OSError, the file being as before, where it cannot be written."""
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            if not self._is_stream:
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(line) + 1
        self.lines += 1

    def close(self) -> None:
        """Keep what was written. Raises OSError where the disk did not take it. May be called again."""
        if self._file.closed:
            return
        try:
            if not self._is_stream:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
            if self._part:
                self._part.replace(self._place)

    def discard(self) -> None:
        """Remove it, and leave what it was to replace as it is."""
        self._file.close()
        if not self._is_stream:
            (self._part or self._place).unlink(missing_ok=True)
