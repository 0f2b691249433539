"""Samples of a Hugging Face dataset: saved to disk, a folder of data files, or of the hub.

The library maps Arrow files into memory, so a row is read from wherever it is. Pictures are taken
as the bytes or paths that are stored; the library decodes none.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, BinaryIO

from trainer.data.bad import BadSample
from trainer.data.captions import at
from trainer.data.sources.base import Found, Kind, Stamp
from trainer.data.sources.columns import CaptionColumns, MediaColumn, media_column, no_column
from trainer.data.sources.hub import Wanted, load
from trainer.data.sources.names import shown
from trainer.data.sources.order import in_order
from trainer.data.sources.tablenames import ROW, not_unique, without_name

BATCH = 10_000
FEATURES: dict[Kind, str] = {"image": "Image", "video": "Video", "audio": "Audio", "caption": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubColumns:
    media: str | None = None  # None: found by its type
    name: str | None = None  # None: the number of the row


class HubDataset:
    """Every row of one split."""

    hashed = True

    def __init__(
        self, wanted: Wanted, kind: Kind, columns: HubColumns, captions: CaptionColumns | None
    ) -> None:
        self._wanted = wanted
        self._kind: Kind = kind
        self._columns = columns
        self._captions = captions
        self._lock = threading.Lock()
        self._views: dict[tuple[str, ...], Any] = {}

    @property
    def name(self) -> str:
        subset = f"/{self._wanted.subset}" if self._wanted.subset else ""
        return f"{self._wanted.path}{subset}:{self._wanted.split}"

    @property
    def identity(self) -> str:
        tag = self._captions and self._captions.tag
        data = self._data._fingerprint
        return f"hf|{self._wanted}|{data}|{self._kind}|{self._columns}|{tag}"

    def listing(self) -> Iterator[Found]:
        self._check_columns()
        stamp, column = self._stamp, self._columns.name
        caption = stamp if self._captions is not None else None
        if column is None:
            for row in range(len(self._data)):
                yield Found(ROW.format(row), f"{row:x}", stamp, caption)
            return
        for name, rows in in_order(partial(self._names, column)):
            if len(rows) > 1:
                raise not_unique(self.name, name, [row for _, row in rows])
            yield Found(name, f"{rows[0][1]:x}", stamp, caption)

    def open(self, relpath: str, locator: str) -> BinaryIO:
        row = int(locator, 16)
        if self._kind == "caption":
            return io.BytesIO((self._text(row) or "").encode())
        (value,) = self._values(row, (self._media.name,))
        path = value if isinstance(value, str) else None
        if isinstance(value, dict):
            path, value = value.get("path"), value.get("bytes")
        if isinstance(value, bytes):
            return io.BytesIO(value)
        if not path:
            raise BadSample(f"row {row + 1} is empty")
        if "://" in path:
            raise BadSample(f"row {row + 1} is kept at {path}, which is no local file")
        return open(os.path.join(self._wanted.path, path), "rb")

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        row = int(found.locator, 16)
        text = self._text(row)
        return text, None if text else f"row {row + 1} has no text in its caption columns"

    def close(self) -> None:
        self._views.clear()
        self.__dict__.pop("_loaded", None)

    @property
    def _data(self) -> Any:
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Any:
        return load(self._wanted)

    @property
    def _stamp(self) -> Stamp:
        """Of every row: the data as a whole is another one, or the same."""
        digest = blake2b(self._data._fingerprint.encode(), digest_size=8).digest()
        return (1, 0, int.from_bytes(digest, "big") >> 1)

    @property
    def _media(self) -> MediaColumn:
        if self._columns.media is not None:
            return MediaColumn(self._columns.media, True)
        features = self._data.features
        typed = [n for n, f in features.items() if type(f).__name__ == FEATURES[self._kind]]
        binary = [n for n, f in features.items() if getattr(f, "dtype", None) == "binary"]
        return media_column(self._kind, list(features), typed or binary, self.name)

    def _check_columns(self) -> None:
        known = list(self._data.features)
        asked = [self._columns.name]
        if self._kind != "caption":
            asked.append(self._media.name)
        if self._captions is not None:
            captions = self._captions.all_of(known)
            if not captions:
                raise no_column(None, known, self.name, "no column has captions")
            asked += captions
        for column in asked:
            if column is not None and _top(column, known) not in known:
                raise no_column(column, known, self.name)

    def _names(self, column: str) -> Iterator[tuple[str, int]]:
        for start, batch in enumerate(self._view((column,)).iter(BATCH)):
            for row, value in enumerate(batch.column(0).to_pylist(), start * BATCH):
                if value is None or value == "":
                    raise without_name(self.name, row)
                yield shown(str(value)), row

    def _text(self, row: int) -> str | None:
        assert self._captions is not None, "lint demands captions where they are the samples"
        columns = self._captions.all_of(list(self._data.features))
        return self._captions.text(columns, self._values(row, columns))

    def _values(self, row: int, columns: Sequence[str]) -> list[Any]:
        cells = self._view(tuple(columns))[row]
        values = {name: cells.column(name)[0].as_py() for name in cells.column_names}
        return [values[c] if c in values else at(values, c) for c in columns]

    def _view(self, columns: tuple[str, ...]) -> Any:
        """The data with only these columns; making one costs more than reading many rows."""
        data = self._data
        if (view := self._views.get(columns)) is None:
            tops = dict.fromkeys(_top(column, data.features) for column in columns)
            view = data.select_columns(list(tops)).with_format("arrow")
            self._views[columns] = view
        return view


def _top(column: str, known: Any) -> str:
    """The column itself, or the one that a dotted path begins with."""
    return column if column in known else column.split(".", 1)[0]
