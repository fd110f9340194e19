"""How a command runs as a program: settings from the command line, log and errors on standard error, its exit code."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn, TextIO, TypeVar, cast

from hand import logs
from hand.errors import UserError
from hand.files import advice

Settings = TypeVar("Settings")


def run(main: Callable[[Settings], int | None], settings: type[Settings]) -> NoReturn:
    """`run_line` with a `main` that takes the settings of the command line."""
    import tyro

    run_line(lambda: main(tyro.cli(settings)))


def run_line(main: Callable[[], int | None]) -> NoReturn:
    """Run a `main` that reads the command line itself, and exit: with its code, or with 2 and the sentence of a UserError."""
    spec = sys.modules["__main__"].__spec__
    name = sys.argv[0] if spec is None else spec.name.removesuffix(".__main__")
    logs.configure("warning", name=name)
    with guarded_output():
        code = code_of(main, name)
    sys.exit(code)


def code_of(main: Callable[[], int | None], name: str) -> int:
    """The exit code of the program `name` after `main`: its own, or 2 with the sentence of a UserError on standard error."""
    try:
        return main() or 0
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


class OutputError(OSError):
    """Standard output cannot be written."""


class _Output:
    """Standard output, whose errors can be told from those of files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def guarded_output() -> Iterator[None]:
    """End without a traceback, with 1, where standard output cannot be written: quietly where what reads it, such as `head`, has
    ended, else with a sentence.
    """
    if sys.stdout is None:
        # The program was started without one.
        yield
        return
    output = _Output(sys.stdout)
    try:
        with redirect_stdout(cast(TextIO, output)):
            try:
                yield
            finally:
                output.flush()
    except OutputError as error:
        discard_output()
        raise SystemExit(1 if error.errno == errno.EPIPE else output_failed(error)) from None


def discard_output() -> None:
    """Let nothing more be written to standard output: what is left in its buffer would be when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def output_failed(error: OSError) -> str:
    """The sentence for the user, about standard output."""
    return f"the results cannot be printed: {error.strerror or error}; {advice(error)}"
