"""The log of a program: sentences for its user on standard error, and with time, level and origin in a file."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hand.errors import UserError
from hand.files import part_of

Level = Literal["debug", "info", "warning", "error"]
_PROJECT_LOGGERS = ("__main__", "stream", "hand", "capture", "runtime", "adapt", "export", "tools")
"""Loggers that the level applies to; libraries log warnings and errors."""


def configure(level: Level = "info", *, name: str = "stream.py") -> None:
    """Log from `level` on to standard error, each line marked with the program's `name`. May be called again."""
    number = _number(level)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Console)]:
        root.removeHandler(handler)
    root.addHandler(_Console(number, name))
    for logger in _PROJECT_LOGGERS:
        logging.getLogger(logger).setLevel(number)


@contextmanager
def log_of_recording(recording: Path | None, *, overwrite: bool = False) -> Iterator[None]:
    """Log also to a new file next to the `recording` that the program is going to write; the file is removed if none was written.

    One that replaces another is written beside it. Raises UserError where the file cannot be created, or exists already and is
    not to be overwritten.
    """
    if recording is None or (recording.exists() and not overwrite):
        # The recorder refuses to overwrite a recording.
        yield
        return
    file = log_file_of(recording)
    part = part_of(file.resolve()) if overwrite and file.exists() else file
    before = _identity(recording)
    handler = _create(part)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        if _identity(recording) == before:
            part.unlink(missing_ok=True)
        elif part != file:
            part.replace(file.resolve())


def log_file_of(recording: Path) -> Path:
    """The log file that belongs to a recording."""
    file = recording.with_suffix(".log")
    return recording.with_name(f"{recording.name}.log") if file == recording else file


def _identity(file: Path) -> tuple[int, int] | None:
    """That of the file which has this name; None where none has."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class _Console(logging.Handler):
    """Writes lines above progress bars, to the current `sys.stderr`."""

    def __init__(self, level: int, name: str) -> None:
        super().__init__(level)
        self.setFormatter(_Sentence(name))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            # A bar is possible only where tqdm is loaded.
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            if tqdm is None:
                print(line, file=sys.stderr, flush=True)
            else:
                tqdm.write(line, file=sys.stderr)
        except Exception:
            self.handleError(record)


class _Sentence(logging.Formatter):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        mark = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return f"{self._name}: {mark}{super().format(record)}"


class _File(logging.FileHandler):
    _broken = False

    def handleError(self, record: logging.LogRecord) -> None:
        """On a full disk, stop writing the file, with one warning."""
        self._break_off(sys.exc_info()[1])

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            # What the disk did not take before, it does not take now.
            self._break_off(error)

    def _break_off(self, error: BaseException | None) -> None:
        logging.getLogger().removeHandler(self)
        if not self._broken:
            self._broken = True
            logging.getLogger(__name__).warning(f"the log {self.baseFilename} breaks off: {error}")


def _create(file: Path) -> _File:
    """Raises UserError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(file, mode="x", encoding="utf-8")
    except FileExistsError:
        raise UserError(f"the log {file} is there already: give --record another name, or remove it first") from None
    except OSError as error:
        raise UserError(f"cannot log to {file}: {error.strerror}; give --record a file that can be made") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    return handler


def _number(level: Level) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
