"""Samples named by the rows of tables: embedded in them, or files whose paths stand there.

A start reads the column of names, and of paths looks at the files; embedded pictures and captions
are read only where they are new. A sample is named by its column, else by its path, else by the
number of its row. Rows with one path are one sample with the captions of all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from trainer.data.bad import BadSample
from trainer.data.sources.base import VARIANT, Found, Kind, Stamp
from trainer.data.sources.columns import CaptionColumns, no_column
from trainer.data.sources.local import stamp_of
from trainer.data.sources.spool import Spool
from trainer.data.sources.tablefiles import SPACE, OpenTables, TableFile
from trainer.data.sources.tablenames import Columns, Naming


class Tables:
    """Every row of the tables at `path`: a file, a folder of files, or a pattern."""

    hashed = True

    def __init__(
        self, path: str, kind: Kind, columns: Columns, captions: CaptionColumns | None
    ) -> None:
        self._path = path
        self._kind: Kind = kind
        self._columns = columns
        self._captions = captions
        self._tables = OpenTables(path)
        self._naming = Naming(self._tables, kind, columns, path)
        self._spool = Spool(self._texts)

    @property
    def name(self) -> str:
        return self._path

    @property
    def identity(self) -> str:
        tag = self._captions and self._captions.tag
        return f"table|{os.path.abspath(self._path)}|{self._kind}|{self._columns}|{tag}"

    def listing(self) -> Iterator[Found]:
        self._tables.look()
        self._spool.close()
        files = self._tables.files
        for file in files:
            self._check_columns(file)
        for name, rows, path in self._naming.named():
            file = files[rows[0] // SPACE]
            caption = file.stamp if self._captions is not None else None
            if path is None:
                at = _Locator((rows[0] % SPACE,), file.token, file.name)
                yield Found(name, str(at), file.stamp, caption)
                continue
            if caption is not None and len(rows) > 1:
                caption = _joint_stamp([files[n] for n in {row // SPACE for row in rows}])
            yield Found(name, str(_Locator(rows, path=path)), _stamp(path), caption)

    def open(self, relpath: str, locator: str) -> BinaryIO:
        at = _Locator.parse(locator)
        if at.path is not None:
            return _opened(at.path)
        file, row = self._tables.same(at.file, at.token), at.rows[0]
        if self._kind == "caption":
            return io.BytesIO((self._spool.get(file.first + row) or "").encode())
        value = self._tables.rows(file).cell(row, self._naming.media(file).name)
        if isinstance(value, dict):
            if value.get("bytes") is None and (path := value.get("path")):
                return _opened(self._naming.place(file, path))
            value = value.get("bytes")
        if value is None:
            raise BadSample(f"row {row + 1} is empty")
        return io.BytesIO(value)

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        at = _Locator.parse(found.locator)
        first = self._tables.same(at.file, at.token).first if at.path is None else 0
        texts = [text for row in at.rows if (text := self._spool.get(first + row))]
        if texts:
            return VARIANT.join(dict.fromkeys(texts)), None
        return None, f"row {at.rows[0] % SPACE + 1} has no text in its caption columns"

    def close(self) -> None:
        self._spool.close()
        self._tables.close()

    def _check_columns(self, file: TableFile) -> None:
        rows = self._tables.rows(file)
        asked = [self._columns.media, self._columns.name]
        if self._captions is not None:
            captions = self._captions.all_of(rows.columns)
            if not captions:
                raise no_column(None, rows.columns, str(file.path), "no column has captions")
            asked += captions
        for column in asked:
            if column is not None and not rows.has(column):
                raise no_column(column, rows.columns, str(file.path))

    def _texts(self) -> Iterator[tuple[int, str | None]]:
        assert self._captions is not None, "lint demands captions where they are the samples"
        for file in self._tables.files:
            rows = self._tables.rows(self._tables.same(file.name, file.token))
            columns = self._captions.all_of(rows.columns)
            for number, values in enumerate(rows.read(columns)):
                yield file.first + number, self._captions.text(columns, values)


class _Locator(NamedTuple):
    """A row of a file as it was scanned, or a path with the rows that name it."""

    rows: tuple[int, ...]
    token: str = ""
    file: str = ""
    path: str | None = None

    def __str__(self) -> str:
        rows = ",".join(f"{row:x}" for row in self.rows)
        return f"{rows} {self.token} {self.file}" if self.path is None else f"{rows}:{self.path}"

    @classmethod
    def parse(cls, text: str) -> _Locator:
        rows, colon, path = text.partition(":")
        if colon and " " not in rows:
            return cls(_numbers(rows), path=path)
        rows, token, file = text.split(" ", 2)
        return cls(_numbers(rows), token, file)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number, 16) for number in text.split(","))


def _opened(path: str) -> BinaryIO:
    if not path:
        raise BadSample("its row has no path")
    try:
        return open(path, "rb")
    except ValueError as error:
        raise BadSample("its path is no possible one") from error


def _joint_stamp(files: list[TableFile]) -> Stamp:
    """Of captions that stand in these files; it changes with each."""
    sizes, times, inodes = zip(*(file.stamp for file in files), strict=True)
    return (sum(sizes), sum(times) % (1 << 62), sum(inodes) % (1 << 62))


def _stamp(path: str) -> Stamp | None:
    try:
        return stamp_of(os.stat(path))
    except (OSError, ValueError):
        return None
