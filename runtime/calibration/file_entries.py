"""Entries of a calibration file with their file and key, so that error messages can name them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hand.errors import UserError


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


class Storage:
    """Values of OpenCV files by key, in any case and without underscores; the first file's where several have one."""

    def __init__(self, texts: dict[Path, str]):
        self._files = " and ".join(map(str, texts))
        self._entries: dict[str, Entry] = {}
        for path, text in texts.items():
            for key, value in _read_storage(path, text):
                self._entries.setdefault(_plain(key), Entry(f"{path}: key `{key}`", value))

    def find(self, *names: str) -> Entry | None:
        return next((self._entries[_plain(name)] for name in names if _plain(name) in self._entries), None)

    def need(self, *names: str) -> Entry:
        """As `find`; raises UserError where none is there."""
        entry = self.find(*names)
        if entry is None:
            raise UserError(
                f"{self._files}: there is no key `{names[0]}`, nor another name for it: expected a whole stereo calibration; "
                "where OpenCV wrote intrinsics.yml and extrinsics.yml, give both"
            )
        return entry


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _plain(key: str) -> str:
    return key.casefold().replace("_", "")


def _read_storage(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Keys and values: float, str, list, or an array for a matrix; raises UserError."""
    if not text.lstrip("\ufeff \t\r\n").startswith(("%YAML", "<?xml", "{")):
        raise UserError(f"{path} is no calibration: expected OpenCV's YAML, XML or JSON, or Kalibr's camchain with cam0 and cam1")
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        keys = storage.root().keys()
    except (cv2.error, SystemError) as error:  # the binding wraps a parser's error in a SystemError
        raise UserError(f"{path} is broken off or damaged: expected all that cv::FileStorage wrote; write it again") from error
    for key in keys:
        try:
            yield key, _value(storage.getNode(key))
        except cv2.error as error:
            raise UserError(f"{path}: key `{key}` cannot be read: expected a whole matrix; write it again") from error


def _value(node: cv2.FileNode) -> Any:
    if node.isSeq():
        return [_value(node.at(index)) for index in range(node.size())]
    if node.isMap():
        return node.mat() if {"dt", "data"} <= set(node.keys()) else None
    return node.string() if node.isString() else node.real()
