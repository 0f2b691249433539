"""Tables that are text: CSV with a header, one JSON object a line, or a JSON list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.csv as pc

from trainer.data.captions import at
from trainer.data.sources.rows import reading

SEEN = 1000  # rows that tell which columns a JSON table has
PIECE = 1 << 20  # characters
LONGEST = 64 << 20  # characters of one item


class CsvRows:
    """Every value is text; what stands between quotes may hold line breaks."""

    embedded: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parse = pc.ParseOptions(
            delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
        )
        self.columns: Sequence[str] = self._open(None).schema.names

    def has(self, column: str) -> bool:
        return column in self.columns

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        asked = list(dict.fromkeys(columns)) or list(self.columns[:1])
        with reading(self._path):
            for batch in self._open(asked):
                if columns:
                    yield from zip(*(batch.column(c).to_pylist() for c in columns), strict=True)
                else:
                    yield from (() for _ in range(batch.num_rows))

    def cell(self, row: int, column: str) -> Any:
        raise AssertionError("no column of it is embedded")

    def close(self) -> None:
        pass

    def _open(self, columns: list[str] | None) -> pc.CSVStreamingReader:
        convert = pc.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns or (), pa.string()),
            strings_can_be_null=False,
        )
        return pc.open_csv(self._path, parse_options=self._parse, convert_options=convert)


class JsonRows:
    """Objects with values of any kind; columns may differ between rows."""

    embedded: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        seen = {key: None for row in islice(self._rows(), SEEN) for key in row}
        self.columns: Sequence[str] = list(seen)

    def has(self, column: str) -> bool:
        if column in self.columns:
            return True
        return any(at(row, column) is not None for row in islice(self._rows(), SEEN))

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with reading(self._path):
            for row in self._rows():
                yield tuple(row[c] if c in row else at(row, c) for c in columns)

    def cell(self, row: int, column: str) -> Any:
        raise AssertionError("no column of it is embedded")

    def close(self) -> None:
        pass

    def _rows(self) -> Iterator[dict[str, Any]]:
        with open(self._path, encoding="utf-8-sig") as file:
            is_list = self._path.suffix.lower() == ".json"
            for number, row in enumerate(_items(file) if is_list else _lines(file), 1):
                if not isinstance(row, dict):
                    raise ValueError(f"row {number} is no object")
                yield row


def _lines(file: TextIO) -> Iterator[Any]:
    for number, line in enumerate(file, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error


def _items(file: TextIO) -> Iterator[Any]:
    """The items of a JSON list one by one, without reading all of it."""
    text = _Text(file)
    if text.take() != "[":
        raise ValueError("it is no list of objects")
    if text.peek() == "]":
        return
    number, mark = 0, ","
    while mark == ",":
        number += 1
        yield text.value(number)
        mark = text.take()
    if mark != "]":
        raise ValueError(f"{mark!r} follows item {number}" if mark else "the list does not end")


class _Text:
    """JSON text that is read in pieces; `at` is the place up to which it is used."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> str:
        found = self.peek()
        self._at += len(found)
        return found

    def value(self, number: int) -> Any:
        self.peek()
        while True:
            try:
                value, self._at = json.JSONDecoder().raw_decode(self._text, self._at)
                return value
            except ValueError as error:  # perhaps only because the rest of it is not there yet
                if len(self._text) - self._at > LONGEST or not self._more():
                    raise ValueError(f"item {number}: {error}") from error

    def _more(self) -> bool:
        piece = self._file.read(PIECE)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
