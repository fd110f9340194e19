"""`python -m adapt.offline`: adapt the network to a recording, or to a data set's camera pair."""

import sys
from collections.abc import Sequence

import tyro

from adapt.offline.adapt_recording import Settings, adapt
from adapt.offline.command import PROG, help_for_both, is_about_data, run
from hand import program


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Adapt as a command line asks for; its exit code. Raises UserError for what cannot be done."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments in (["--help"], ["-h"]):
        help_for_both(Settings, prog)
        return 0
    if is_about_data(arguments):
        return run(arguments, prog)
    return 0 if adapt(tyro.cli(Settings, args=arguments, prog=prog)) else 1


if __name__ == "__main__":
    program.run_line(main)
