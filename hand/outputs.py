"""What may a program write: refuses, before anything is opened, an output that would cost a file, or that cannot be written."""

import os
import re
import stat
import tempfile
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from hand.errors import UserError
from hand.files import is_stream


@dataclass(frozen=True, slots=True)
class _Named:
    """A path, and the option by which the user knows it."""

    option: str
    path: Path
    place: Path
    """The path with all links followed."""
    status: os.stat_result | None
    """None where nothing is there."""
    is_stream: bool
    """Whether it is no file but a terminal, a pipe, /dev/null."""
    suffixes: tuple[str, ...] = ()
    """What its name may end in; empty: anything."""
    plain: bool = False
    """Must be a file: what is written needs its beginning again."""
    kept: bool = False
    """What is there already is continued, or replaced because the user wants it so."""
    folder: bool = False
    whole: bool = False
    """A new file in this folder would be read too."""
    names: re.Pattern[str] | None = None
    """Only files of such names in this folder are read, those that are there and new ones; None: all that are there."""

    @classmethod
    def of(
        cls,
        option: str,
        path: Path,
        *,
        suffixes: tuple[str, ...] = (),
        plain: bool = False,
        kept: bool = False,
        folder: bool = False,
    ) -> Self:
        """Raises OSError, ValueError or RuntimeError for a name that cannot be looked up: too long, with a zero byte, links in a
        circle, in a folder that may not be entered.
        """
        place = path.resolve()
        return cls(option, path, place, _status(place), is_stream(path), suffixes, plain, kept, folder)

    @classmethod
    def output(
        cls, option: str, path: Path, *, suffixes: tuple[str, ...] = (), plain: bool = False, kept: bool, folder: bool = False
    ) -> Self:
        """As `of`. Raises UserError."""
        try:
            return cls.of(option, path, suffixes=suffixes, plain=plain, kept=kept, folder=folder)
        except (OSError, ValueError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UserError(f"{option} {str(path)!r} cannot be written: {reason}; give another name") from error

    def is_same(self, other: Self) -> bool:
        """Whether both are one file. A name that differs in case alone is another file on some disks only: it counts as one."""
        if self.status is not None and other.status is not None:
            return os.path.samestat(self.status, other.status)
        return self.status is other.status and _plain(self.place) == _plain(other.place)

    def is_in(self, folder: Self) -> bool:
        """Whether it is a file of that folder, or would be read with it."""
        if folder.status is None or not stat.S_ISDIR(folder.status.st_mode) or folder.place not in self.place.parents:
            return False
        if folder.names is not None:
            return folder.place == self.place.parent and folder.names.fullmatch(self.place.name) is not None
        return self.status is not None or (folder.whole and self.place.parent == folder.place)


class ProgramFiles:
    """The files that a program reads and writes, by the options that name them; `check` comes before any is opened."""

    def __init__(self, *, overwrite: bool = False) -> None:
        self._overwrite = overwrite
        self._read: list[_Named] = []
        self._written: list[_Named] = []

    def reads(self, option: str, *paths: Path | None, whole: bool = False, names: re.Pattern[str] | None = None) -> Self:
        """Files, or folders with their files; `whole`: whatever file comes into such a folder would be read too; `names`: only
        files of such names are, old and new ones.
        """
        for path in paths:
            # What cannot be looked up cannot be written over either; who reads it says so.
            with suppress(OSError, ValueError, RuntimeError):
                self._read += [replace(_Named.of(option, path), whole=whole, names=names)] if path is not None else []
        return self

    def writes(
        self, option: str, *paths: Path | None, suffixes: tuple[str, ...] = (), plain: bool = False, overwrite: bool | None = None
    ) -> Self:
        """New files, which may replace others only if that is allowed: by `overwrite`, else as the program's is.

        `suffixes`: what their names may end in; `plain`: no device or pipe. Raises UserError for a name that no file can have.
        """
        kept = self._overwrite if overwrite is None else overwrite
        for path in paths:
            if path is not None:
                self._written.append(_Named.output(option, path, suffixes=suffixes, plain=plain, kept=kept))
        return self

    def continues(self, option: str, *paths: Path | None) -> Self:
        """Files of an earlier call, which this one adds to or renews, as documented."""
        self._written += [_Named.output(option, path, kept=True) for path in paths if path is not None]
        return self

    def fills(self, option: str, folder: Path | None) -> Self:
        """A folder for files that are stated by themselves, or that an earlier call has begun."""
        self._written += [_Named.output(option, folder, kept=True, folder=True)] if folder is not None else []
        return self

    def check(self) -> None:
        """Raises UserError where an output is an input or another output, is there already, or cannot be written."""
        for number, output in enumerate(self._written):
            _check_kind(output)
            self._check_inputs(output)
            for other in self._written[:number]:
                _check_outputs(other, output)
        for output in self._written:
            if output.status is not None and not output.kept and not output.is_stream:
                raise UserError(
                    f"{output.option} {output.path} is there already: give another name, or --overwrite to replace the file"
                )
        for output in self._written:
            _check_writable(output)

    def _check_inputs(self, output: _Named) -> None:
        for read in self._read:
            if output.is_same(read) and not (output.folder and output.kept):
                raise UserError(
                    f"{output.option} {output.path} is a file that {read.option} reads, and would be lost: "
                    f"give {output.option} another name"
                )
            if not output.folder and output.is_in(read):
                raise UserError(
                    f"{output.option} {output.path} is in the folder {read.path}, whose files {read.option} reads: "
                    f"give {output.option} another folder"
                )


def with_manifest(weights: Path | None) -> tuple[Path, ...]:
    """A file of weights and its manifest; nothing where there are none."""
    return () if weights is None else (weights, weights.with_suffix(".json"))


def _check_kind(output: _Named) -> None:
    option, path = output.option, output.path
    if output.suffixes and path.suffix.lower() not in output.suffixes:
        raise UserError(f"{option} {path}: the name must end in {' or '.join(output.suffixes)}")
    if output.is_stream and (output.plain or output.folder):
        raise UserError(f"{option} {path} is a device or a pipe: give the name of a {'folder' if output.folder else 'file'}")
    if output.status is None or output.is_stream:
        return
    mode = output.status.st_mode
    if output.folder and not stat.S_ISDIR(mode):
        raise UserError(f"{option} {path} is a file: give a folder")
    if not output.folder and stat.S_ISDIR(mode):
        raise UserError(f"{option} {path} is a folder: give the name of a file, such as one in it")
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{option} {path} is a {'socket' if stat.S_ISSOCK(mode) else 'disk'}: give the name of a file")


def _check_outputs(one: _Named, other: _Named) -> None:
    if one.is_stream or other.is_stream or (one.folder and other.folder):
        return
    if one.is_same(other):
        raise UserError(
            f"{one.option} {one.path} and {other.option} {other.path} are one file, and one would be lost: "
            "give one of them another name"
        )
    for file, inside in ((one, other), (other, one)):
        if not file.folder and file.place in inside.place.parents:
            raise UserError(
                f"{file.option} {file.path} is to be a file, and for {inside.option} {inside.path} a folder: give another name"
            )


def _check_writable(output: _Named) -> None:
    """Raises UserError where its folder, or that in which this one is to be made, takes no file, or the file no change."""
    reason: str | None = None
    if output.status is not None and not output.folder:
        reason = None if os.access(output.place, os.W_OK) else "it is read-only"
    if reason is None and not output.is_stream:
        folder = output.place if output.folder else output.place.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            # Whether files can be made is more than a matter of permissions: the disk may be read-only, or full.
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            reason = f"{error.strerror} in {folder}"
    if reason is not None:
        raise UserError(f"{output.option} {output.path} cannot be written: {reason}; give a file in a folder that you may write")


def _status(place: Path) -> os.stat_result | None:
    try:
        return place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _plain(place: Path) -> str:
    return unicodedata.normalize("NFC", str(place)).casefold()
