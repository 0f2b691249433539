"""Index of a folder: size and content hash of each picture, remembered between runs.

One SQLite file per dataset folder. A file whose size and modification time are unchanged is not
opened again; a file that cannot be read stays visible with its reason.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from trainer.data.pixels import PICTURES, BadPicture, picture_size
from trainer.errors import DataError
from trainer.findings import finding

SCHEMA = """
CREATE TABLE IF NOT EXISTS sample (
  relpath TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER,
  width INTEGER, height INTEGER, content TEXT, reason TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture file; `reason` is set when it cannot be used."""

    relpath: str
    width: int
    height: int
    content: str
    reason: str | None


def list_pictures(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Relative path and stat of every picture below `root`, sorted; links are followed once."""
    if not root.is_dir():
        raise DataError(
            finding("DAT001", f"{root} is not a folder", where=str(root), fix="check the path")
        )
    seen: set[tuple[int, int]] = set()
    stack, found = [root], []
    while stack:
        folder = stack.pop()
        info = folder.stat()
        if (info.st_dev, info.st_ino) in seen:
            continue
        seen.add((info.st_dev, info.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    stack.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in PICTURES and entry.is_file():
                    found.append((os.path.relpath(entry.path, root), entry.stat()))
    return iter(sorted(found, key=lambda item: item[0]))


def scan(root: Path, database: Path, *, should_stop: Callable[[], bool]) -> list[Row]:
    """Bring the index up to date with the folder and return all rows, sorted by path."""
    database.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(database, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(SCHEMA)
        known = {
            (path, size, mtime): Row(path, width, height, content, reason)
            for path, size, mtime, width, height, content, reason in connection.execute(
                "SELECT relpath, size, mtime_ns, width, height, content, reason FROM sample"
            )
        }
        rows, fresh = [], []
        for number, (path, info) in enumerate(list_pictures(root)):
            row = known.get((path, info.st_size, info.st_mtime_ns))
            if row is None:
                row = inspect(root, path)
                fresh.append((path, info.st_size, info.st_mtime_ns, *_columns(row)))
            rows.append(row)
            if number % 256 == 0 and should_stop():
                break
        with connection:
            connection.executemany("REPLACE INTO sample VALUES (?, ?, ?, ?, ?, ?, ?)", fresh)
        return rows
    finally:
        connection.close()


def _columns(row: Row) -> tuple[int, int, str, str | None]:
    return row.width, row.height, row.content, row.reason


def inspect(root: Path, relpath: str) -> Row:
    """Size from the header and hash of the bytes."""
    path = root / relpath
    try:
        width, height = picture_size(path)
        return Row(relpath, width, height, content_hash(path), None)
    except (BadPicture, OSError) as error:
        return Row(relpath, 0, 0, "", str(error))


def content_hash(path: Path) -> str:
    hasher = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
