"""Make keys, so that frames may leave this host encrypted, and only to those on a list.

python -m tools.keys keys                        # on each side, once
python -m tools.keys keys --trust headset.key    # with the other side's own.key, copied here under a name of your choice
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from capture.transport.keys import load_keys, load_public, make_keys
from hand.errors import UserError


@dataclass
class Settings:
    """Make a folder of keys, or let another side in."""

    folder: tyro.conf.Positional[Path]
    """Where the keys are, or are to be made."""
    trust: Annotated[Path | None, tyro.conf.arg(metavar="NAME.key")] = None
    """The other side's public key, to be believed from now on under the file's name."""


def main(settings: Settings) -> None:
    """Raises UserError for a folder or a file that cannot be used."""
    if settings.trust is None:
        keys = make_keys(settings.folder)
        print(
            f"made {settings.folder}/own.key_secret, to be kept, and {settings.folder}/own.key, its public half "
            f"({keys.public.decode()})"
        )
        print(f"copy own.key to the other side under a name of this host, there: python -m tools.keys keys --trust {_host()}.key")
        return
    name = settings.trust.stem
    load_keys(settings.folder)
    load_public(settings.trust)
    shutil.copyfile(settings.trust, settings.folder / "peers" / f"{name}.key")
    print(f"{settings.folder}: {name} is believed; known are {', '.join(sorted(load_keys(settings.folder).peers))}")


def _host() -> str:
    import socket

    return socket.gethostname().split(".")[0] or "this-host"


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
