"""Names of the samples of tables, in order: of a column, of paths, or the numbers of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from trainer.data.sources.base import Kind
from trainer.data.sources.columns import MediaColumn, media_column
from trainer.data.sources.names import ENDINGS, shown
from trainer.data.sources.order import in_order
from trainer.data.sources.tablefiles import SPACE, OpenTables, TableFile
from trainer.errors import DataError
from trainer.findings import finding

ROW = "{:010d}"  # the order of text is that of numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How a table is read; None: by what its columns hold."""

    media: str | None = None
    name: str | None = None
    prefix: str = ""  # put before each path
    extension: str = ""  # put behind paths that have none


class Named(NamedTuple):
    """A sample; `rows` are counted over all files. `path` is None where the row holds it, and
    empty where a path is missing."""

    name: str
    rows: tuple[int, ...]
    path: str | None


@dataclass(frozen=True, slots=True)
class Naming:
    """Names the rows of tables."""

    tables: OpenTables
    kind: Kind
    columns: Columns
    where: str

    def named(self) -> Iterator[Named]:
        """All samples, sorted by name; DataError when two rows share one that must not."""
        first = self.tables.files[0]
        if self.kind != "caption" and not self.media(first).embedded:
            return self._by_path()
        return self._by_name(self.columns.name) if self.columns.name else self._by_row()

    def media(self, file: TableFile) -> MediaColumn:
        """The column with the samples."""
        rows, name = self.tables.rows(file), self.columns.media
        if name is not None:
            return MediaColumn(name, name in rows.embedded)
        return media_column(self.kind, rows.columns, rows.embedded, str(file.path))

    def place(self, file: TableFile, text: str) -> str:
        """The path of a file that is named in a table."""
        if "://" in text:
            raise _address(text, file)
        known = os.path.splitext(text)[1].lower() in ENDINGS[self.kind]
        ending = "" if known else self.columns.extension
        return os.path.join(file.path.parent, f"{self.columns.prefix}{text}{ending}")

    def _by_row(self) -> Iterator[Named]:
        for file in self.tables.files:
            folder = f"{file.name}/" if file.name else ""
            for number, _ in enumerate(self.tables.rows(file).read(())):
                yield Named(folder + ROW.format(number), (file.first + number,), None)

    def _by_name(self, column: str) -> Iterator[Named]:
        for name, rows in in_order(partial(self._names, column)):
            if len(rows) > 1:
                raise self._twice(name, rows)
            yield Named(name, (rows[0][1],), None)

    def _names(self, column: str) -> Iterator[tuple[str, int]]:
        for file in self.tables.files:
            for number, (value,) in enumerate(self.tables.rows(file).read((column,))):
                yield self._name(value, file, number), file.first + number

    def _by_path(self) -> Iterator[Named]:
        for name, rows in in_order(self._paths):
            if len({path for *_, path in rows}) > 1:
                raise self._twice(name, rows)
            yield Named(name, tuple(row for _, row, _ in rows), rows[0][2])

    def _paths(self) -> Iterator[tuple[str, int, str]]:
        """Name, row and path; a row without path is named by its number."""
        for file in self.tables.files:
            media, name = self.media(file).name, self.columns.name
            asked = (media, name) if name else (media,)
            for number, (value, *named) in enumerate(self.tables.rows(file).read(asked)):
                text = value.get("path") if isinstance(value, dict) else value
                text = "" if text is None else shown(str(text))
                path = self.place(file, text) if text else ""
                if named:
                    text = self._name(named[0], file, number)
                yield text or f"{file.name}(row {number + 1})", file.first + number, path

    def _name(self, value: Any, file: TableFile, number: int) -> str:
        if value is None or value == "":
            raise without_name(str(file.path), number)
        return shown(str(value))

    def _twice(self, name: str, rows: list[tuple[Any, ...]]) -> DataError:
        return not_unique(self.where, name, [row[1] % SPACE for row in rows])


def without_name(where: str, row: int) -> DataError:
    return _bad_name(where, f"row {row + 1} of {where} has no name")


def not_unique(where: str, name: str, rows: list[int]) -> DataError:
    listed = " and ".join(str(row + 1) for row in rows[:2])
    return _bad_name(where, f"rows {listed} of {where} have the same name {name!r}")


def _bad_name(where: str, message: str) -> DataError:
    return DataError(
        finding(
            "DAT030",
            message,
            where=where,
            why="samples are told apart by their names",
            fix="set source.name_column to a column that differs in each row, or remove it",
        )
    )


def _address(text: str, file: TableFile) -> DataError:
    return DataError(
        finding(
            "DAT029",
            f"{file.path} holds addresses, as {text[:80]!r}",
            where=str(file.path),
            why="a training run never fetches pictures from the web: they may be gone tomorrow",
            fix=f"fetch them once: stune data fetch {file.path} --to FOLDER, then train on the "
            'tar shards in FOLDER (source.kind = "tar")',
        )
    )
