"""A source seen through its index, with a count of what a scan asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from trainer.data.index import Index, Row
from trainer.data.pixels import read_picture
from trainer.data.sources.base import Found, Kind, Source


class Counted:
    """Passes everything on and counts."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.opened: list[str] = []
        self.captioned: list[str] = []

    @property
    def hashed(self) -> bool:
        return self._source.hashed

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def identity(self) -> str:
        return self._source.identity

    def listing(self) -> Iterator[Found]:
        return self._source.listing()

    def open(self, relpath: str, locator: str) -> BinaryIO:
        self.opened.append(relpath)
        return self._source.open(relpath, locator)

    def caption(self, found: Found) -> tuple[str | None, str | None]:
        self.captioned.append(found.relpath)
        return self._source.caption(found)

    def close(self) -> None:
        self._source.close()


def scanned(source: Source, database: Path, kind: Kind = "image") -> dict[str, Row]:
    """The rows of the index after a scan, by name."""
    index = Index(source, kind, database)
    index.scan(lambda done: None)
    index.hash_contents(1, lambda done: None)
    rows = list(index.rows())
    assert [r.relpath for r in rows] == sorted(r.relpath for r in rows)
    return {row.relpath: row for row in rows}


def picture(source: Source, row: Row) -> Image.Image:
    with source.open(row.relpath, row.locator) as file:
        return read_picture(file, "ffffff")


def asks_nothing_twice(source: Source, database: Path) -> dict[str, Row]:
    """Scan twice; the second scan must open nothing and read no caption. The rows."""
    first = scanned(Counted(source), database)
    again = Counted(source)
    assert scanned(again, database) == first
    assert (again.opened, again.captioned) == ([], [])
    return first
