"""Commands: `duohand NAME`, or `python -m tools.NAME`."""

from tools.aliases import install

install()
