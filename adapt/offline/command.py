"""The two ways of `python -m adapt.offline`: which of them a command line asks for, and help for both.

Published commands name no way, so none has a name: `-trs` or `-tes` make it a data set, else it is two clips.
"""

from collections.abc import Sequence
from contextlib import suppress

import tyro

from adapt.datasets.published_options import NAMES, Settings
from adapt.datasets.run import adapt, evaluate

PROG = "python -m adapt.offline"
_CLIPS = "RUN --left A --right B [options]"
_DATA = "-trs ah -tes ah [options]"


def is_about_data(args: Sequence[str]) -> bool:
    """Whether a command line is about a data set; the published commands are."""
    return any(part.split("=")[0] in NAMES for part in args)


def run(args: Sequence[str], prog: str = PROG) -> int:
    """Do what it asks for; the exit code. Raises UserError for what cannot be done."""
    settings = _parsed(args, prog)
    if settings.evaluate:
        evaluate(settings)
    else:
        adapt(settings)
    return 0


def help_for_both(clips: type, prog: str = PROG) -> None:
    """Print what can be said; `clips` are the settings of the other way."""
    print("Adapt the network to two cameras, without labels.\n")
    print(f"  two clips:   {prog} {_CLIPS}\n  a data set:  {prog} {_DATA}\n")
    print(f"Two clips: {_CLIPS}\n")
    with suppress(SystemExit):
        tyro.cli(clips, args=["--help"], prog=prog)
    print(f"\nA data set: {_DATA}\n")
    with suppress(SystemExit):
        _parsed(["--help"], prog)


def _parsed(args: Sequence[str], prog: str) -> Settings:
    return tyro.cli(Settings, args=args, prog=prog, use_underscores=True)
