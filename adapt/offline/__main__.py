"""`python -m adapt.offline`: adapt the network to a recording, or to a data set's camera pair."""

import sys

import tyro

from adapt.offline.adapt_recording import Settings, adapt
from adapt.offline.command import help_for_both, is_about_data, run
from hand.errors import UserError


def main() -> int:
    args = sys.argv[1:]
    if args in (["--help"], ["-h"]):
        help_for_both(Settings)
        return 0
    if is_about_data(args):
        return run(args)
    return 0 if adapt(tyro.cli(Settings)) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        raise SystemExit(str(error)) from None
