"""The two ways of `python -m adapt.offline`: which of them a command line asks for, and help for both.

Published commands name no way, so none has a name: `-trs` or `-tes` make it a data set, else it is two clips.
"""

from collections.abc import Sequence
from contextlib import suppress

import tyro

from adapt.datasets.published_options import NAMES, Settings
from adapt.datasets.run import adapt, evaluate

_CLIPS = "RUN --left A --right B [options]"
_DATA = "-trs ah -tes ah [options]"
_WAYS = f"""Adapt the network to two cameras, without labels.

  two clips:   python -m adapt.offline {_CLIPS}
  a data set:  python -m adapt.offline {_DATA}
"""


def is_about_data(args: Sequence[str]) -> bool:
    """Whether a command line is about a data set; the published commands are."""
    return any(part.split("=")[0] in NAMES for part in args)


def run(args: Sequence[str]) -> int:
    """Do what it asks for; the exit code. Raises UserError for what cannot be done."""
    settings = _parsed(args)
    if settings.evaluate:
        evaluate(settings)
    else:
        adapt(settings)
    return 0


def help_for_both(clips: type) -> None:
    """Print what can be said; `clips` are the settings of the other way."""
    print(_WAYS)
    print(f"Two clips: {_CLIPS}\n")
    with suppress(SystemExit):
        tyro.cli(clips, args=["--help"], prog="python -m adapt.offline")
    print(f"\nA data set: {_DATA}\n")
    with suppress(SystemExit):
        _parsed(["--help"])


def _parsed(args: Sequence[str]) -> Settings:
    return tyro.cli(Settings, args=args, prog="python -m adapt.offline", use_underscores=True)
