"""`python -m tools.bench`: how long the parts take on this machine."""

import sys

import tyro

from hand.errors import UserError
from tools.bench import suite, transport

if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["transport"]:
            # Both ends of it are processes of their own, timed in another way than parts are.
            transport.main(tyro.cli(transport.Settings, args=sys.argv[2:]))
        else:
            suite.main(tyro.cli(suite.Settings))
    except UserError as error:
        raise SystemExit(str(error)) from None
