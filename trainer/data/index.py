"""Index of a source: what is known of each sample, remembered between runs.

One SQLite file per source. A scan merges the sorted listing with the sorted index: samples whose
size, time and identity are unchanged cost a comparison, others one look at their header. Contents
are hashed in a second step, only for samples that will be used and whose source does not know a
digest by itself. Both commit as they go, so an interrupted scan continues where it was. A sample
that cannot be read stays, with its reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from trainer.cache.database import connect, transaction
from trainer.cache.keys import KEY_BYTES
from trainer.data.bad import BadSample
from trainer.data.probe import Facts, probe
from trainer.data.sources.base import Found, Kind, Source, Stamp
from trainer.data.sources.names import shown
from trainer.faults import point

SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
  relpath TEXT PRIMARY KEY, locator TEXT, size INTEGER, mtime_ns INTEGER, inode INTEGER,
  width INTEGER, height INTEGER, frames INTEGER, fps REAL, duration_s REAL, channels INTEGER,
  rate INTEGER, reason TEXT, content BLOB,
  text_size INTEGER, text_mtime_ns INTEGER, text_inode INTEGER, text TEXT, text_reason TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unhashed ON file (relpath) WHERE content IS NULL AND reason IS NULL;
CREATE TABLE IF NOT EXISTS face (content BLOB PRIMARY KEY, x REAL, y REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generation (one INTEGER PRIMARY KEY CHECK (one = 1), value INTEGER);
"""
STAMPS = "relpath, size, mtime_ns, inode, text_size, text_mtime_ns, text_inode"
FACTS = "width, height, frames, fps, duration_s, channels, rate"
ROW = f"relpath, locator, {FACTS}, reason, content, text, text_reason, x, y"
SELECT = f"SELECT {ROW} FROM file LEFT JOIN face USING (content) ORDER BY relpath"
THREADS = 4
CHUNK = 512  # samples between two commits
SLICE = 32  # samples a thread takes at once
NO_FILE: Stamp = (0, 0, 0)
LOOK_AGAIN: Stamp = (-1, -1, -1)  # matches no sample
# A content hash stays as long as the stamp does: another process may have filled it in meanwhile.
PUT_SAMPLE = f"""
INSERT INTO file (relpath, locator, size, mtime_ns, inode, {FACTS}, reason, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (relpath) DO UPDATE SET
  content = coalesce(excluded.content, CASE WHEN (size, mtime_ns, inode)
    = (excluded.size, excluded.mtime_ns, excluded.inode) THEN content END),
  locator = excluded.locator, size = excluded.size, mtime_ns = excluded.mtime_ns,
  inode = excluded.inode, width = excluded.width, height = excluded.height,
  frames = excluded.frames, fps = excluded.fps, duration_s = excluded.duration_s,
  channels = excluded.channels, rate = excluded.rate, reason = excluded.reason
"""
PUT_TEXT = (
    "UPDATE file SET text_size = ?, text_mtime_ns = ?, text_inode = ?, text = ?, text_reason = ? "
    "WHERE relpath = ?"
)
CHANGED = "INSERT INTO generation VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET value = value + 1"
PUT_CONTENT = "UPDATE file SET content = ? WHERE relpath = ?"

In = TypeVar("In")
Out = TypeVar("Out")
Tick = Callable[[int], None]  # told how many samples are done; may raise to stop


class Row(NamedTuple):
    """One sample; `reason` is set when it cannot be used, `text_reason` without caption."""

    relpath: str
    locator: str
    facts: Facts
    reason: str | None
    content: bytes | None
    text: str | None
    text_reason: str | None
    focus: tuple[float, float] | None = None  # centre of the largest face, as shares


class Index:
    """The index of `source`, kept in `database`."""

    def __init__(self, source: Source, kind: Kind, database: Path) -> None:
        self.source = source
        self.kind: Kind = kind
        self._database = database
        database.parent.mkdir(parents=True, exist_ok=True)

    def _connect(self) -> sqlite3.Connection:
        return connect(self._database, SCHEMA)

    def scan(self, tick: Tick) -> None:
        """Bring the index up to date with the source."""
        with closing(self._connect()) as reader, closing(self._connect()) as writer:
            with ThreadPoolExecutor(THREADS, "scan") as pool:
                known = reader.execute(f"SELECT {STAMPS} FROM file ORDER BY relpath")
                listed = _counted(self.source.listing(), tick)
                changes = _changes(listed, known)
                while chunk := list(islice(changes, CHUNK)):
                    there = [(c.found, c) for c in chunk if c.found is not None]
                    samples = _spread(pool, self._inspect, [f for f, c in there if c.sample])
                    texts = _spread(pool, self._inspect_text, [f for f, c in there if c.text])
                    gone = [(c.relpath,) for c in chunk if c.found is None]
                    with transaction(writer):
                        writer.executemany("DELETE FROM file WHERE relpath = ?", gone)
                        writer.executemany(PUT_SAMPLE, samples)
                        writer.executemany(PUT_TEXT, texts)
                        writer.execute(CHANGED)
                    point("index.after_commit")

    def _inspect(self, found: Found) -> tuple:
        """What the header says; the content hash is left for later."""
        stamp, facts, reason = found.stamp or LOOK_AGAIN, Facts(), None
        try:
            found.locator.encode()
            with self.source.open(found.relpath, found.locator) as file:
                facts = probe(file, self.kind)
        except UnicodeEncodeError:
            reason = "its name is not UTF-8 text"
        except OSError as error:
            reason, stamp = error.strerror or str(error), LOOK_AGAIN
        except BadSample as error:
            reason, stamp = str(error), stamp if error.lasting else LOOK_AGAIN
        return (found.relpath, shown(found.locator), *stamp, *facts, reason, found.content)

    def _inspect_text(self, found: Found) -> tuple:
        stamp, text, reason = found.caption or NO_FILE, None, None
        if found.caption is not None:
            try:
                text, reason = self.source.caption(found)
            except OSError as error:
                why = error.strerror or str(error)
                reason, stamp = f"its caption cannot be read: {why}", LOOK_AGAIN
        return (*stamp, text, reason, found.relpath)

    def _hash(self, place: tuple[str, str]) -> bytes | None:
        """Digest of the bytes of a sample; None when it vanished since the scan."""
        hasher = blake2b(digest_size=KEY_BYTES)
        try:
            with self.source.open(*place) as file:
                while block := file.read(1 << 20):
                    hasher.update(block)
        except OSError:
            return None
        return hasher.digest()

    def hash_contents(self, min_size: int, tick: Tick, only: Collection[str] | None = None) -> None:
        """Fill in the content hash of usable samples that have none yet; `only` names them."""
        missing = (
            "SELECT relpath, locator FROM file WHERE relpath > ? AND content IS NULL "
            "AND reason IS NULL AND (width = 0 OR min(width, height) >= ?) ORDER BY relpath LIMIT ?"
        )
        done, last = 0, ""
        with closing(self._connect()) as db, ThreadPoolExecutor(THREADS, "hash") as pool:
            while todo := db.execute(missing, (last, min_size, CHUNK)).fetchall():
                wanted = todo if only is None else [place for place in todo if place[0] in only]
                hashes = _spread(pool, self._hash, wanted)
                with transaction(db):
                    paths = [path for path, _ in wanted]
                    db.executemany(PUT_CONTENT, zip(hashes, paths, strict=True))
                    db.execute(CHANGED)
                done, last = done + len(todo), todo[-1][0]
                tick(done)

    def total_bytes(self) -> int:
        """Bytes of all samples that are there, readable or not."""
        with closing(self._connect()) as db:
            return db.execute("SELECT coalesce(sum(max(size, 0)), 0) FROM file").fetchone()[0]

    def find_faces(self, background: str, tick: Tick) -> None:
        """Look for the largest face of each hashed picture that was not searched yet."""
        from trainer.data.faces import demand_detector

        demand_detector()
        missing = (
            "SELECT relpath, locator, content FROM file WHERE relpath > ? AND content IS NOT NULL "
            "AND reason IS NULL AND content NOT IN (SELECT content FROM face) "
            "ORDER BY relpath LIMIT ?"
        )
        done, last = 0, ""
        with closing(self._connect()) as db, ThreadPoolExecutor(THREADS, "faces") as pool:
            while todo := db.execute(missing, (last, SLICE * THREADS)).fetchall():
                faces = _spread(pool, lambda row: self._face(row, background), todo)
                found = [(r[2], *(f or (None, None))) for r, f in zip(todo, faces, strict=True)]
                with transaction(db):
                    db.executemany("INSERT OR IGNORE INTO face VALUES (?, ?, ?)", found)
                    db.execute(CHANGED)
                done, last = done + len(todo), todo[-1][0]
                tick(done)

    def _face(self, row: tuple[str, str, bytes], background: str) -> tuple[float, float] | None:
        """Of a picture that cannot be decoded there is none; encoding tells why."""
        from trainer.data.faces import find_face
        from trainer.data.pixels import read_picture

        try:
            with self.source.open(row[0], row[1]) as file:
                return find_face(read_picture(file, background))
        except (OSError, BadSample):
            return None

    @property
    def generation(self) -> int:
        """Counts the changes of the index; equal means that its rows are the same."""
        with closing(self._connect()) as db:
            return db.execute("SELECT coalesce(max(value), 0) FROM generation").fetchone()[0]

    def snapshot(self, name: str) -> Path:
        """Where the frozen table of a dataset that reads this index is kept."""
        return self._database.with_suffix(f".{name}.arrow")

    def rows(self) -> Iterator[Row]:
        """All samples, sorted by path."""
        with closing(self._connect()) as db:
            for path, locator, *rest in db.execute(SELECT):
                reason, content, text, text_reason, x, y = rest[7:]
                focus = None if x is None else (x, y)
                facts = Facts._make(rest[:7])
                yield Row(path, locator, facts, reason, content, text, text_reason, focus)


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between source and index; `found` is None when the sample is gone."""

    relpath: str
    found: Found | None
    sample: bool
    text: bool


def _counted(listing: Iterable[Found], tick: Tick) -> Iterator[Found]:
    """The listing; `tick` hears of it also while nothing is new, so that a stop is noticed."""
    number = 0
    for number, found in enumerate(listing, start=1):
        if number % CHUNK == 0:
            tick(number)
        yield found
    tick(number)


def _changes(listing: Iterable[Found], known: Iterable[tuple]) -> Iterator[Change]:
    """Merge of the listing with the index rows, both sorted by path."""
    rows = iter(known)
    row = next(rows, None)
    for found in listing:
        while row is not None and row[0] < found.relpath:
            yield Change(row[0], None, False, False)
            row = next(rows, None)
        sample = text = True
        if row is not None and row[0] == found.relpath:
            sample = found.stamp is None or row[1:4] != found.stamp
            text = row[4:7] != (found.caption or NO_FILE)
            row = next(rows, None)
        if sample or text:
            yield Change(found.relpath, found, sample, text)
    while row is not None:
        yield Change(row[0], None, False, False)
        row = next(rows, None)


def _spread(
    pool: ThreadPoolExecutor, function: Callable[[In], Out], items: Sequence[In]
) -> list[Out]:
    """`function` of each item, in order. Threads are for the waiting of disks and networks."""
    parts = [items[i : i + SLICE] for i in range(0, len(items), SLICE)]
    done = pool.map(lambda part: [function(item) for item in part], parts)
    return [result for part in done for result in part]
