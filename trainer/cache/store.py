"""Append-only store of entries (named tensors) under content keys (data.md §10.3).

Shards are `<root>/<kind>/<encoder>/NNNNNN.st`; one SQLite index, `<root>/cache.db`, serves all of
them and all processes. A shard is written beside its name, synced and renamed before the index
learns of its entries, so a crash leaves at worst a shard that nothing refers to. A lease names
the process that is encoding a key; the lease of a dead process counts for nothing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor

from trainer.cache.database import connect, transaction
from trainer.cache.shard import Entry, Place, pack, unpack
from trainer.errors import DataError
from trainer.faults import point
from trainer.findings import finding
from trainer.runs.files import write_atomic
from trainer.runs.heartbeat import process_identity, same_process

SCHEMA = """
CREATE TABLE IF NOT EXISTS shard (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, encoder TEXT, num_bytes INTEGER);
CREATE TABLE IF NOT EXISTS blob (
  key BLOB PRIMARY KEY, shard INTEGER, start INTEGER, num_bytes INTEGER, layout TEXT, crc INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (key BLOB PRIMARY KEY, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
  key BLOB PRIMARY KEY, pid INTEGER, start_ticks INTEGER, boot_id TEXT, expires REAL
) WITHOUT ROWID;
"""
LEASE_S = 600.0  # renewed with every group; only a stopped or hung process ever reaches it
OPEN_SHARDS = 32  # file handles per thread
CHUNK = 500  # keys per query


class Store:
    """Entries of one kind and one encoder."""

    def __init__(self, root: Path, kind: str, encoder: str) -> None:
        self.folder = root / kind / encoder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.encoder = encoder
        self.kind = kind
        self._path = root / "cache.db"
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._forget_broken_shards()

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's connection."""
        if not hasattr(self._own, "db"):
            db = connect(self._path, SCHEMA)
            self._own.db, self._own.files = db, OrderedDict()
            self._connections.append(db)
        return self._own.db

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._db)

    def _forget_broken_shards(self) -> None:
        """Entries of shards that are gone or shorter than they were are encoded again."""
        rows = self._db.execute(
            "SELECT id, num_bytes FROM shard WHERE kind = ? AND encoder = ? "
            "AND num_bytes IS NOT NULL",
            (self.kind, self.encoder),
        ).fetchall()
        for number, size in rows:
            path = self._shard(number)
            if not path.exists() or path.stat().st_size != size:
                with self._write() as db:
                    db.execute("DELETE FROM blob WHERE shard = ?", (number,))
                    db.execute("DELETE FROM shard WHERE id = ?", (number,))

    def _shard(self, number: int) -> Path:
        return self.folder / f"{number:06d}.st"

    # --- reading ---------------------------------------------------------------------------

    def get(self, key: bytes) -> dict[str, Tensor]:
        """The entry of a key, checked; DataError when it is gone or damaged."""
        found = self._find(key)
        if found is None:
            raise self._damaged(key, "is not in the cache any more")
        shard, place = found
        data = torch.empty(place.num_bytes, dtype=torch.uint8)
        view = data.numpy().data
        try:
            length = os.preadv(self._file(shard), [view], place.offset) if place.num_bytes else 0
        except FileNotFoundError:
            raise self._damaged(key, "has lost its file") from None
        if length != place.num_bytes or crc32(view) != place.crc:
            raise self._damaged(key, "does not match its checksum")
        return unpack(data, place.layout)

    def _find(self, key: bytes) -> tuple[int, Place] | None:
        row = self._db.execute(
            "SELECT shard, start, num_bytes, layout, crc FROM blob WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else (row[0], Place(*row[1:]))

    def _file(self, shard: int) -> int:
        files: OrderedDict[int, int] = self._own.files
        if shard in files:
            files.move_to_end(shard)
        else:
            files[shard] = os.open(self._shard(shard), os.O_RDONLY)
            if len(files) > OPEN_SHARDS:
                os.close(files.popitem(last=False)[1])
        return files[shard]

    def _damaged(self, key: bytes, what: str) -> DataError:
        """The error for an entry that cannot be used; the next start encodes it again."""
        self.drop([key])
        return DataError(
            finding(
                "DAT100",
                f"an entry of the {self.kind} cache {what}",
                where=str(self.folder),
                why="a file of the cache was changed or removed, or the disk returned wrong bytes",
                fix="start the run again: the entry is encoded anew",
                key=key.hex(),
            )
        )

    def drop(self, keys: Iterable[bytes]) -> None:
        with self._write() as db:
            db.executemany("DELETE FROM blob WHERE key = ?", [(key,) for key in keys])

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of `keys` that are neither stored nor known to fail, in their order."""
        known = {key for table in ("blob", "failed") for (key,) in self._rows(table, "key", keys)}
        return [key for key in keys if key not in known]

    def failures(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Those of `keys` that cannot be encoded, with the reason."""
        return dict(self._rows("failed", "key, reason", keys))

    def _rows(self, table: str, columns: str, keys: Sequence[bytes]) -> Iterator[tuple]:
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            marks = ",".join("?" * len(part))
            yield from self._db.execute(
                f"SELECT {columns} FROM {table} WHERE key IN ({marks})", part
            )

    # --- writing ---------------------------------------------------------------------------

    def put(self, entries: Mapping[bytes, Entry], failed: Mapping[bytes, str]) -> None:
        """Store entries in one new shard, note failures, end the leases; all or nothing."""
        number, places, size = None, {}, 0
        if entries:
            with self._write() as db:
                number = db.execute(
                    "INSERT INTO shard (kind, encoder) VALUES (?, ?)", (self.kind, self.encoder)
                ).lastrowid
            assert number is not None
            blob, places = pack(entries)
            size = len(blob)
            point("cache.before_shard")
            write_atomic(self._shard(number), blob)
            point("cache.after_shard")
        done = [(key,) for key in (*entries, *failed)]
        with self._write() as db:
            db.execute("UPDATE shard SET num_bytes = ? WHERE id = ?", (size, number))
            db.executemany(
                "INSERT OR IGNORE INTO blob VALUES (?, ?, ?, ?, ?, ?)",
                [(k, number, p.offset, p.num_bytes, p.layout, p.crc) for k, p in places.items()],
            )
            db.executemany("INSERT OR REPLACE INTO failed VALUES (?, ?)", failed.items())
            db.executemany("DELETE FROM lease WHERE key = ?", done)
        point("cache.after_index")

    def lease(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Claim keys for encoding: (those this process now holds, those another one holds).

        Keys that were stored meanwhile are in neither list.
        """
        owner = process_identity(os.getpid())
        now = time.time()
        with self._write() as db:
            wanted = self.missing(keys)
            others = {
                key
                for key, pid, ticks, boot, expires in self._rows("lease", "*", wanted)
                if pid != owner["pid"]
                and expires > now
                and same_process({"pid": pid, "start_ticks": ticks, "boot_id": boot})
            }
            mine = [key for key in wanted if key not in others]
            db.executemany(
                "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
                [
                    (k, owner["pid"], owner["start_ticks"], owner["boot_id"], now + LEASE_S)
                    for k in mine
                ],
            )
        return mine, [key for key in wanted if key in others]

    def release(self, keys: Iterable[bytes]) -> None:
        """Give leases back without having encoded."""
        with self._write() as db:
            db.executemany("DELETE FROM lease WHERE key = ?", [(key,) for key in keys])

    def close(self) -> None:
        """End all connections; file handles of other threads end with those threads."""
        for fd in getattr(self._own, "files", {}).values():
            os.close(fd)
        for db in self._connections:
            db.close()
        self._own = threading.local()
        self._connections.clear()
