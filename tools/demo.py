"""The application with two synthetic cameras, no hardware: `python -m tools.demo --seconds 3 --headless`."""

import sys
from collections.abc import Sequence
from importlib.resources import as_file, files

import stream


def main(arguments: Sequence[str] | None = None, prog: str = "tools.demo") -> int:
    """Run the application with the settings of `configs/demo.toml` and those of the command line over them; its exit code."""
    with as_file(files("configs") / "demo.toml") as config:
        return stream.main(["--config", str(config), *(sys.argv[1:] if arguments is None else arguments)], prog)


if __name__ == "__main__":
    sys.exit(main())
