"""A table file, row by row, whatever its format is: only the asked columns, never all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from trainer.data.sources.extras import missing_extra
from trainer.errors import DataError
from trainer.findings import finding

ENDINGS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json")


class Rows(Protocol):
    """One table file; DataError when it is not what its ending says."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of its columns."""
        ...

    @property
    def embedded(self) -> Sequence[str]:
        """Columns that hold bytes."""
        ...

    def has(self, column: str) -> bool:
        """Whether there is such a column, also nested as `a.b`."""
        ...

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The values of these columns, row after row; with no column an empty tuple for each."""
        ...

    def cell(self, row: int, column: str) -> Any:
        """One value of an embedded column; called from several threads."""
        ...

    def close(self) -> None: ...


def open_rows(path: Path) -> Rows:
    """The reader of a table file, by its ending."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise missing_extra("pyarrow", "train", "tables") from error
    from trainer.data.sources.parquet import ParquetRows
    from trainer.data.sources.textrows import CsvRows, JsonRows

    kinds: dict[str, Callable[[Path], Rows]] = {".parquet": ParquetRows}
    kinds |= dict.fromkeys((".csv", ".tsv"), CsvRows)
    kinds |= dict.fromkeys((".jsonl", ".ndjson", ".json"), JsonRows)
    with reading(path):
        return kinds[path.suffix.lower()](path)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong inside while a table is read becomes a finding."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            finding(
                "DAT027",
                f"the table {path} cannot be read: {cause}",
                where=str(path),
                fix=f"check that it is a whole {path.suffix.lower().lstrip('.')} file",
            )
        ) from error
