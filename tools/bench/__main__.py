"""`python -m tools.bench`: how long the parts take on this machine."""

import sys
from collections.abc import Sequence

import tyro

from hand import program
from tools.bench import suite, transport


def main(arguments: Sequence[str] | None = None, prog: str = "tools.bench") -> int:
    """Time the transport where that is the first argument, else the parts that are named. Raises UserError."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["transport"]:
        # Its two ends are processes, which rounds of function calls cannot time.
        transport.main(tyro.cli(transport.Settings, prog=f"{prog} transport", args=arguments[1:]))
    else:
        suite.main(tyro.cli(suite.Settings, prog=prog, args=arguments))
    return 0


if __name__ == "__main__":
    program.run_line(main)
