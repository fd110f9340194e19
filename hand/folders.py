"""Where files of this program are kept: the user's caches and data, and what lasts as long as a run."""

import os
import tempfile
from pathlib import Path

import platformdirs

_APPLICATION = "duohand"
_LONGEST_TEMPORARY = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes of a temporary folder's path: a socket's may have 107 (unix(7)), of which multiprocessing's takes the most in it."""


def cache_folder(name: str) -> Path:
    """A folder for files that can be made or fetched again: `$XDG_CACHE_HOME/duohand/NAME` on Linux."""
    return platformdirs.user_cache_path(_APPLICATION) / name


def data_folder(name: str) -> Path:
    """A folder for files that cannot be made again: `$XDG_DATA_HOME/duohand/NAME` on Linux."""
    return platformdirs.user_data_path(_APPLICATION) / name


def use_short_temporary_folder() -> None:
    """Let `tempfile` use a folder whose path leaves room for sockets, where $TMPDIR is too deep; to be called before any is made.

    Clusters and sandboxes give temporary folders with long paths, in which no socket can be bound.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= _LONGEST_TEMPORARY:
        return
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp"):
        if folder and len(os.fsencode(folder)) <= _LONGEST_TEMPORARY and os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = folder
            return
