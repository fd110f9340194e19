"""Make keys for frames and hands that leave this host: encrypted, and only for hosts on a list.

python -m tools.keys keys                        # on each host, once
python -m tools.keys keys --trust headset.key    # with the other host's own.key, copied here under a name of your choice
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from capture.transport.keys import load_keys, load_public, make_keys
from hand import program
from hand.files import saving
from hand.outputs import ProgramFiles


@dataclass
class Settings:
    """Make a folder of keys, or add the public key of another host to it."""

    folder: tyro.conf.Positional[Path]
    """Folder of the keys; made where it does not exist."""
    trust: Annotated[Path | None, tyro.conf.arg(metavar="NAME.key")] = None
    """Public key of another host, which is trusted from now on under the file's name."""
    overwrite: bool = False
    """Trust it in place of another key of that name."""


def main(settings: Settings) -> None:
    """Raises UserError for a folder or a file that cannot be used."""
    if settings.trust is None:
        keys = make_keys(settings.folder)
        print(
            f"made {settings.folder}/own.key_secret, to be kept secret, and {settings.folder}/own.key, its public key "
            f"({keys.public.decode()})"
        )
        print(f"copy own.key to the other host as {_host()}.key and run there: python -m tools.keys keys --trust {_host()}.key")
        return
    name = settings.trust.stem
    load_keys(settings.folder)
    load_public(settings.trust)
    trusted = settings.folder / "peers" / f"{name}.key"
    ProgramFiles(overwrite=settings.overwrite).reads("--trust", settings.trust).writes("FOLDER", trusted, plain=True).check()
    with saving(trusted) as part:
        shutil.copyfile(settings.trust, part)
    print(f"{settings.folder}: {name} is trusted; known are {', '.join(sorted(load_keys(settings.folder).peers))}")


def _host() -> str:
    import socket

    return socket.gethostname().split(".")[0] or "this-host"


if __name__ == "__main__":
    program.run(main, Settings)
