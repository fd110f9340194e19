"""`python -m tools.bench`: how long the parts take on this machine."""

import sys
from collections.abc import Sequence

import tyro

from hand.errors import UserError
from tools.bench import suite, transport


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the transport where that is the first argument, else the parts that are named. Raises UserError."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["transport"]:
        # Both ends of it are processes of their own, timed in another way than parts are.
        transport.main(tyro.cli(transport.Settings, args=arguments[1:]))
    else:
        suite.main(tyro.cli(suite.Settings, args=arguments))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None
