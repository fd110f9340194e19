"""Where the user's files of this program are kept: caches, data."""

from pathlib import Path

import platformdirs

_APPLICATION = "duohand"


def cache_folder(name: str) -> Path:
    """A folder for files that can be made or fetched again: `$XDG_CACHE_HOME/duohand/NAME` on Linux."""
    return platformdirs.user_cache_path(_APPLICATION) / name


def data_folder(name: str) -> Path:
    """A folder for files that cannot be made again: `$XDG_DATA_HOME/duohand/NAME` on Linux."""
    return platformdirs.user_data_path(_APPLICATION) / name
