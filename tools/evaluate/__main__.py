"""`python -m tools.evaluate`: how good a network is."""

import tyro

from hand.errors import UserError
from tools.evaluate.network import Settings, main

if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
