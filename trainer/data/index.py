"""Index of a folder: what is known of each picture, remembered between runs.

One SQLite file per folder. A scan merges the sorted listing with the sorted index: files whose
size, time and inode are unchanged cost a comparison, others one look at their header. Contents
are hashed in a second step, only for pictures that will be used. Both commit as they go, so an
interrupted scan continues where it was. A file that cannot be read stays, with its reason.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from trainer.cache.database import connect, transaction
from trainer.cache.keys import KEY_BYTES
from trainer.data.captions import read_caption_file
from trainer.data.files import Found, Stamp, list_pictures
from trainer.data.pixels import BadPicture, picture_size
from trainer.faults import point

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
  relpath TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER,
  width INTEGER, height INTEGER, reason TEXT, content BLOB,
  text_size INTEGER, text_mtime_ns INTEGER, text_inode INTEGER, text TEXT, text_reason TEXT
) WITHOUT ROWID
"""
STAMPS = "relpath, size, mtime_ns, inode, text_size, text_mtime_ns, text_inode"
ROW = "relpath, width, height, reason, content, text, text_reason"
THREADS = 4
CHUNK = 512  # files between two commits
SLICE = 32  # files a thread takes at once
NO_FILE: Stamp = (0, 0, 0)
LOOK_AGAIN: Stamp = (-1, -1, -1)  # matches no file
# A content hash stays as long as the stamp does: another process may have filled it in meanwhile.
PUT_PICTURE = """
INSERT INTO file (relpath, size, mtime_ns, inode, width, height, reason)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (relpath) DO UPDATE SET
  content = CASE WHEN (size, mtime_ns, inode)
    = (excluded.size, excluded.mtime_ns, excluded.inode) THEN content END,
  size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
  width = excluded.width, height = excluded.height, reason = excluded.reason
"""
PUT_TEXT = (
    "UPDATE file SET text_size = ?, text_mtime_ns = ?, text_inode = ?, text = ?, text_reason = ? "
    "WHERE relpath = ?"
)
PUT_CONTENT = "UPDATE file SET content = ? WHERE relpath = ?"

In = TypeVar("In")
Out = TypeVar("Out")
Tick = Callable[[int], None]  # told how many files are done; may raise to stop


class Row(NamedTuple):
    """One picture file; `reason` is set when it cannot be used, `text_reason` without caption."""

    relpath: str
    width: int
    height: int
    reason: str | None
    content: bytes | None
    text: str | None
    text_reason: str | None


class Index:
    """The index of the folder `root`, kept in `database`."""

    def __init__(self, root: Path, database: Path) -> None:
        self.root = root
        self._database = database
        database.parent.mkdir(parents=True, exist_ok=True)

    def _connect(self) -> sqlite3.Connection:
        return connect(self._database, SCHEMA)

    def scan(self, tick: Tick) -> None:
        """Bring the index up to date with the folder."""
        with closing(self._connect()) as reader, closing(self._connect()) as writer:
            with ThreadPoolExecutor(THREADS, "scan") as pool:
                known = reader.execute(f"SELECT {STAMPS} FROM file ORDER BY relpath")
                changes = _changes(list_pictures(self.root), known)
                done = 0
                while chunk := list(islice(changes, CHUNK)):
                    there = [(c.found, c) for c in chunk if c.found is not None]
                    pictures = _spread(pool, _inspect, [f for f, c in there if c.picture])
                    texts = _spread(pool, _inspect_text, [f for f, c in there if c.text])
                    gone = [(c.relpath,) for c in chunk if c.found is None]
                    with transaction(writer):
                        writer.executemany("DELETE FROM file WHERE relpath = ?", gone)
                        writer.executemany(PUT_PICTURE, pictures)
                        writer.executemany(PUT_TEXT, texts)
                    point("index.after_commit")
                    done += len(there)
                    tick(done)

    def hash_contents(self, min_size: int, tick: Tick) -> None:
        """Fill in the content hash of usable pictures that have none yet."""
        missing = (
            "SELECT relpath FROM file WHERE relpath > ? AND content IS NULL AND reason IS NULL "
            "AND min(width, height) >= ? ORDER BY relpath LIMIT ?"
        )
        done, last = 0, ""
        with closing(self._connect()) as db, ThreadPoolExecutor(THREADS, "hash") as pool:
            while todo := [path for (path,) in db.execute(missing, (last, min_size, CHUNK))]:
                hashes = _spread(pool, _hash, [self.root / path for path in todo])
                with transaction(db):
                    db.executemany(PUT_CONTENT, zip(hashes, todo, strict=True))
                done, last = done + len(todo), todo[-1]
                tick(done)

    def rows(self) -> Iterator[Row]:
        """All files, sorted by path."""
        with closing(self._connect()) as db:
            for values in db.execute(f"SELECT {ROW} FROM file ORDER BY relpath"):
                yield Row(*values)


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between folder and index; `found` is None when the file is gone."""

    relpath: str
    found: Found | None
    picture: bool
    text: bool


def _changes(listing: Iterable[Found], known: Iterable[tuple]) -> Iterator[Change]:
    """Merge of the listing with the index rows, both sorted by path."""
    rows = iter(known)
    row = next(rows, None)
    for found in listing:
        while row is not None and row[0] < found.relpath:
            yield Change(row[0], None, False, False)
            row = next(rows, None)
        picture = text = True
        if row is not None and row[0] == found.relpath:
            picture = found.stamp is None or row[1:4] != found.stamp
            text = row[4:7] != (found.caption or NO_FILE)
            row = next(rows, None)
        if picture or text:
            yield Change(found.relpath, found, picture, text)
    while row is not None:
        yield Change(row[0], None, False, False)
        row = next(rows, None)


def _inspect(found: Found) -> tuple:
    """What the header says; the content hash is left for later."""
    stamp, width, height, reason = found.stamp or LOOK_AGAIN, 0, 0, None
    try:
        found.path.encode()
        width, height = picture_size(found.path)
    except UnicodeEncodeError:
        reason = "its name is not UTF-8 text"
    except BadPicture as error:
        reason, stamp = str(error), stamp if error.lasting else LOOK_AGAIN
    return (found.relpath, *stamp, width, height, reason)


def _inspect_text(found: Found) -> tuple:
    stamp, text, reason = found.caption or NO_FILE, None, None
    if found.caption is not None:
        try:
            text, reason = read_caption_file(Path(os.path.splitext(found.path)[0] + ".txt"))
        except OSError as error:
            reason, stamp = f"its caption file cannot be read: {error.strerror}", LOOK_AGAIN
    return (*stamp, text, reason, found.relpath)


def _hash(path: Path) -> bytes | None:
    """Digest of the file's bytes; None when it vanished since the scan."""
    hasher = blake2b(digest_size=KEY_BYTES)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    except OSError:
        return None
    return hasher.digest()


def _spread(
    pool: ThreadPoolExecutor, function: Callable[[In], Out], items: Sequence[In]
) -> list[Out]:
    """`function` of each item, in order. Threads are for the waiting of disks and networks."""
    parts = [items[i : i + SLICE] for i in range(0, len(items), SLICE)]
    done = pool.map(lambda part: [function(item) for item in part], parts)
    return [result for part in done for result in part]
