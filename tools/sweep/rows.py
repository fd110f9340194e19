"""A sweep's rows on disk: small Parquet files, each written whole or not at all, and read back as one table.

A row that comes is a file of its own, named by its job's key. From time to time the loose ones are gathered into a larger file;
whatever moment a sweep is killed at, no row is lost, and one that is there twice counts once.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hand.errors import UserError
from tools.sweep.jobs import Row

GATHER_AT = 512
"""Loose rows."""
_LOOSE, _GATHERED = "row-", "rows-"


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("a sweep's rows need pyarrow, which is not installed: pip install '.[ray]'") from error
    return pyarrow


def _schema() -> Any:
    pa = _arrow()
    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}

    def kind(annotation: Any) -> Any:
        plain = [part for part in getattr(annotation, "__args__", (annotation,)) if part is not type(None)]
        return kinds[plain[0]]

    return pa.schema([(field.name, kind(field.type)) for field in msgspec.structs.fields(Row)])


class Rows:
    """The rows in a folder; one process writes there at a time."""

    def __init__(self, folder: Path, retry: bool = False):
        """With `retry`, rows that tell of an error do not count as done. Raises UserError where the folder cannot be made, or
        pyarrow is missing."""
        self._pa, self._schema = _arrow(), _schema()
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the folder {folder} cannot be made ({error.strerror}): give another to write to") from error
        self._loose = sum(1 for _ in folder.glob(f"{_LOOSE}*.parquet"))
        # Eight bytes a row: a million are no burden.
        self._done = np.unique(np.array([_number(key) for key, error in self._keys() if not (retry and error)], np.uint64))
        self._new: set[int] = set()

    def __contains__(self, key: str) -> bool:
        """Whether a job has its row."""
        number = _number(key)
        place = int(np.searchsorted(self._done, np.uint64(number)))
        return number in self._new or (place < len(self._done) and int(self._done[place]) == number)

    def add(self, row: Row) -> None:
        """Keep a row. Raises UserError where it cannot be written."""
        self._write(self.folder / f"{_LOOSE}{row.key}.parquet", [msgspec.to_builtins(row)])
        self._new.add(_number(row.key))
        self._loose += 1
        if self._loose >= GATHER_AT:
            self.gather()

    def gather(self) -> None:
        """Put the loose rows into one file."""
        loose = sorted(self.folder.glob(f"{_LOOSE}*.parquet"))
        rows = [row for file in loose for row in self._read(file)]
        if rows:
            self._write(self.folder / f"{_GATHERED}{rows[0]['key']}-{len(rows)}-{os.urandom(4).hex()}.parquet", rows)
        for file in loose:
            file.unlink()
        self._loose = 0
        self._done = np.union1d(self._done, np.array(sorted(self._new), np.uint64))
        self._new.clear()

    def __iter__(self) -> Iterator[Row]:
        """All rows, each key once; one that has figures goes before one that tells of an error."""
        good = {_number(key) for key, error in self._keys() if error is None}
        told: set[int] = set()
        for file in self._files():
            for row in self._read(file):
                number = _number(row["key"])
                if number not in told and (row["error"] is None or number not in good):
                    told.add(number)
                    yield msgspec.convert(row, Row)

    def save(self, file: Path) -> int:
        """Write all rows to one Parquet file, a batch at a time; how many there are."""
        part = file.with_suffix(".part")
        count = 0
        with self._pa.parquet.ParquetWriter(part, self._schema) as writer:
            batch: list[dict[str, Any]] = []
            for row in self:
                batch.append(msgspec.to_builtins(row))
                count += 1
                if len(batch) >= 4096:
                    writer.write_table(self._pa.Table.from_pylist(batch, schema=self._schema))
                    batch = []
            if batch:
                writer.write_table(self._pa.Table.from_pylist(batch, schema=self._schema))
        part.replace(file)
        return count

    def _files(self) -> list[Path]:
        return sorted([*self.folder.glob(f"{_GATHERED}*.parquet"), *self.folder.glob(f"{_LOOSE}*.parquet")])

    def _keys(self) -> Iterator[tuple[str, str | None]]:
        for file in self._files():
            table = self._table(file, ["key", "error"])
            yield from zip(table["key"].to_pylist(), table["error"].to_pylist(), strict=True)

    def _read(self, file: Path) -> list[dict[str, Any]]:
        return self._table(file, None).to_pylist()

    def _table(self, file: Path, columns: list[str] | None) -> Any:
        try:
            return self._pa.parquet.read_table(file, columns=columns, schema=None if columns else self._schema)
        except (OSError, self._pa.ArrowException) as error:
            raise UserError(f"{file} is no shard of a sweep ({error}): delete it, its runs are done again") from error

    def _write(self, file: Path, rows: list[dict[str, Any]]) -> None:
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            self._pa.parquet.write_table(self._pa.Table.from_pylist(rows, schema=self._schema), part)
            part.replace(file)
        except OSError as error:
            raise UserError(f"cannot write {file} ({error.strerror}): give a folder that may be written to") from error


def _number(key: str) -> int:
    return int(key, 16)
