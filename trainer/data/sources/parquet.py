"""Parquet tables. A picture embedded in one costs reading its row group; the last few are kept,
so that neighbours come cheap."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.sources.rows import reading

BATCH = 16_384  # rows
KEPT = 256 << 20  # bytes of row groups held


class ParquetRows:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path)
        schema = self._file.schema_arrow
        self.columns: Sequence[str] = schema.names
        self.embedded = [f.name for f in schema if _holds_bytes(f.type) and self._filled(f)]
        counts = (self._file.metadata.row_group(n).num_rows for n in range(self._groups))
        self._starts = [0, *accumulate(counts)]
        self._kept: OrderedDict[tuple[int, str], pa.ChunkedArray] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @property
    def _groups(self) -> int:
        return self._file.metadata.num_row_groups

    def has(self, column: str) -> bool:
        return column in self.columns or self._nested(column) is not None

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with reading(self._path):
            if not columns:
                yield from (() for _ in range(self._file.metadata.num_rows))
                return
            file = pq.ParquetFile(self._path)  # a reader of its own: passes may run side by side
            for batch in file.iter_batches(BATCH, columns=list(dict.fromkeys(columns))):
                yield from zip(*(_column(batch, c) for c in columns), strict=True)

    def cell(self, row: int, column: str) -> Any:
        group = bisect_right(self._starts, row) - 1
        with self._lock:
            values = self._kept.get((group, column))
            if values is None:
                values = self._file.read_row_group(group, columns=[column]).column(0)
                self._kept[group, column] = values
                self._kept_bytes += values.nbytes
            self._kept.move_to_end((group, column))
            while len(self._kept) > 1 and self._kept_bytes > KEPT:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return values[row - self._starts[group]].as_py()

    def close(self) -> None:
        self._file.close()

    def _nested(self, column: str) -> pa.DataType | None:
        first, *rest = column.split(".")
        if first not in self.columns:
            return None
        kind = self._file.schema_arrow.field(first).type
        for name in rest:
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                return None
            kind = kind.field(name).type
        return kind

    def _filled(self, field: pa.Field) -> bool:
        """False when the statistics say that the bytes are absent from every row, as where a
        picture is only linked."""
        leaf = f"{field.name}.bytes" if pa.types.is_struct(field.type) else field.name
        for group in range(self._groups):
            columns = self._file.metadata.row_group(group)
            for number in range(columns.num_columns):
                column = columns.column(number)
                if column.path_in_schema == leaf:
                    stats = column.statistics
                    nulls = stats.null_count if stats is not None and stats.has_null_count else 0
                    if nulls < columns.num_rows:
                        return True
        return self._groups == 0


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _column(batch: pa.RecordBatch, column: str) -> list[Any]:
    if column in batch.schema.names:
        return batch.column(column).to_pylist()
    first, *rest = column.split(".")
    values = batch.column(first).to_pylist()
    for name in rest:
        values = [v.get(name) if isinstance(v, dict) else None for v in values]
    return values
