"""`python -m tools.sweep`: adapt to many camera pairs or recordings at once."""

import sys

import tyro

from hand.errors import UserError
from tools.sweep.command import Settings, main

if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Settings)))
    except UserError as error:
        raise SystemExit(str(error)) from None
