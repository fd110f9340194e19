"""How a sweep's rows are kept: small Parquet files, each written whole or not at all, and read back one by one.

Each new row is a file of its own, named by its job's key. From time to time these are gathered into one larger file before they
are deleted: whenever a sweep is killed, no row is lost, and a row that is in two files counts once.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from hand.errors import UserError
from hand.files import saving
from tools.sweep.jobs import Row

GATHER_AT = 512
"""Files of one row."""
_SINGLE, _GATHERED = "row-*.parquet", "rows-*.parquet"
_BATCH = 4096
"""Rows that are in memory while all are written."""


class Rows:
    """The rows in a folder; one process writes there at a time."""

    def __init__(self, folder: Path, retry: bool = False):
        """With `retry`, rows with an error do not count as done. Raises UserError where the folder cannot be made, or pyarrow is
        missing.
        """
        self._pa, self._schema = _pyarrow(), _schema()
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the folder {folder} cannot be made ({error.strerror}): give another to write to") from error
        self._single = sum(1 for _ in folder.glob(_SINGLE))
        self._done = {key for key, error in self._keys() if not (retry and error)}

    def __contains__(self, key: str) -> bool:
        """Whether a job has its row."""
        return key in self._done

    def add(self, row: Row) -> None:
        """Keep a row. Raises UserError where it cannot be written."""
        self._write(self.folder / _SINGLE.replace("*", row.key), [msgspec.to_builtins(row)])
        self._done.add(row.key)
        self._single += 1
        if self._single >= GATHER_AT:
            self.gather()

    def gather(self) -> None:
        """Put the single rows into one file."""
        files = sorted(self.folder.glob(_SINGLE))
        rows = [row for file in files for row in self._read(file)]
        if rows:
            name = f"{rows[0]['key']}-{len(rows)}-{os.urandom(4).hex()}"
            self._write(self.folder / _GATHERED.replace("*", name), rows)
        for file in files:
            file.unlink()
        self._single = 0

    def __iter__(self) -> Iterator[Row]:
        """All rows, each key once; a row with results takes precedence over one with an error."""
        good = {key for key, error in self._keys() if error is None}
        given: set[str] = set()
        for file in self._files():
            for row in self._read(file):
                if row["key"] not in given and (row["error"] is None or row["key"] not in good):
                    given.add(row["key"])
                    yield msgspec.convert(row, Row)

    def save(self, file: Path) -> int:
        """Write all rows to one Parquet file; how many there are."""
        rows, count = iter(self), 0
        with saving(file) as part, self._pa.parquet.ParquetWriter(part, self._schema) as writer:
            while batch := [msgspec.to_builtins(row) for row in islice(rows, _BATCH)]:
                writer.write_table(self._pa.Table.from_pylist(batch, schema=self._schema))
                count += len(batch)
        return count

    def _files(self) -> list[Path]:
        return sorted([*self.folder.glob(_GATHERED), *self.folder.glob(_SINGLE)])

    def _keys(self) -> Iterator[tuple[str, str | None]]:
        for file in self._files():
            yield from ((row["key"], row["error"]) for row in self._read(file, ["key", "error"]))

    def _read(self, file: Path, columns: list[str] | None = None) -> list[dict[str, Any]]:
        try:
            return self._pa.parquet.read_table(file, columns=columns, schema=None if columns else self._schema).to_pylist()
        except (OSError, self._pa.ArrowException) as error:
            raise UserError(f"{file} is no shard of a sweep ({error}): delete it, its runs are done again") from error

    def _write(self, file: Path, rows: list[dict[str, Any]]) -> None:
        with saving(file) as part:
            self._pa.parquet.write_table(self._pa.Table.from_pylist(rows, schema=self._schema), part)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError("a sweep's rows need pyarrow, which is not installed: pip install '.[sweep]'") from error
    return pyarrow


def _schema() -> Any:
    pa = _pyarrow()
    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}

    def kind(annotation: Any) -> Any:
        """Of `T` or `T | None`."""
        return next(kinds[part] for part in getattr(annotation, "__args__", (annotation,)) if part in kinds)

    return pa.schema([(field.name, kind(field.type)) for field in msgspec.structs.fields(Row)])
