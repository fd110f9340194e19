"""`python -m tools.doctor`: whether this machine can do the job."""

import sys

import tyro

from hand.errors import UserError
from tools.doctor.page import Settings, main

if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Settings)))
    except UserError as error:
        raise SystemExit(str(error)) from None
