"""`python -m tools.train`: train a hand network on synthetic hands."""

import tyro

from hand.errors import UserError
from tools.train.network import Settings, main

if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
