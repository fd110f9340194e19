"""How a command runs as a program: its settings from the command line, its log and its errors on standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from hand import logs
from hand.errors import UserError

Settings = TypeVar("Settings")


def run(main: Callable[[Settings], int | None], settings: type[Settings]) -> NoReturn:
    """Run `main` with the settings of the command line, and exit: with its code, or with 1 and the sentence of a UserError."""
    import tyro

    spec = sys.modules["__main__"].__spec__
    logs.configure("warning", name=sys.argv[0] if spec is None else spec.name.removesuffix(".__main__"))
    try:
        with quiet_when_unread():
            sys.exit(main(tyro.cli(settings)))
    except UserError as error:
        raise SystemExit(str(error)) from None


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """End without a traceback, with 1, where what reads the output, such as `head`, has ended."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer is written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
