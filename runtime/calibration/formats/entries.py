"""Entries of a calibration file with their file and key, so that error messages can name them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hand.errors import UserError

_TOLD = 12
"""Keys of a file that an error names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands somewhere in a file."""

    where: str
    """File and key, for sentences about it."""
    value: Any

    def array(self, *shapes: tuple[int, ...], flat: bool = False) -> np.ndarray:
        """Finite numbers of one of `shapes`, a flat row of them however they stand if `flat`. Raises UserError."""
        expected = f"{' or '.join(map(_shape, shapes))} numbers"
        if self.value is None:
            raise UserError(f"{self.where} is empty: expected {expected}")
        try:
            array = np.asarray(self.value, float)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.where} is not made of numbers: expected {expected}") from error
        array = array.ravel() if flat else array
        if array.shape not in shapes:
            raise UserError(f"{self.where} has the shape {_shape(array.shape)}: expected {expected}")
        if not np.isfinite(array).all():
            raise UserError(f"{self.where} holds {array[~np.isfinite(array)][0]}: expected finite numbers; calibrate again")
        return array


class Entries:
    """Values of files by key, in any case and without underscores; the first file's where several have one."""

    def __init__(self, files: dict[Path, Sequence[tuple[str, Any]]]):
        """`files`: keys and values of each."""
        self.files = " and ".join(map(str, files))
        self._entries: dict[str, Entry] = {}
        names = [key for items in files.values() for key, _ in items]
        self._keys = ", ".join(f"`{name}`" for name in names[:_TOLD]) + ", ..." * (len(names) > _TOLD)
        for path, items in files.items():
            for key, value in items:
                self._entries.setdefault(_plain(key), Entry(f"{path}: key `{key}`", value))

    def find(self, *names: str) -> Entry | None:
        return next((self._entries[_plain(name)] for name in names if _plain(name) in self._entries), None)

    def need(self, *names: str) -> Entry:
        """As `find`; raises UserError where none is there."""
        entry = self.find(*names)
        if entry is None:
            raise self.missing(names[0])
        return entry

    def missing(self, name: str) -> UserError:
        """The error of a key that is not there."""
        return UserError(
            f"{self.files}: there is no key `{name}`, nor another name for it, among {self._keys or 'none'}: expected a whole "
            "stereo calibration; "
            "where OpenCV wrote intrinsics.yml and extrinsics.yml, give both"
        )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _plain(key: str) -> str:
    return re.sub(r"[_.\s-]", "", key).casefold()
