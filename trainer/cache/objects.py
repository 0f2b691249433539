"""The entries of one kind and one encoder as bytes, without torch (data.md §10.3).

Shards are `<root>/<kind>/<encoder>/NNNNNN.st`; one SQLite index serves all of them and all
processes. A shard is written beside its name, synced and renamed before the index learns of its
entries, so a crash leaves at worst a shard that nothing refers to. A shard never changes. Where
one is rewritten (gc.py) the index points to the new one before the old one goes: a reader that
lost its shard asks the index again before it calls an entry damaged.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from zlib import crc32

from trainer.cache import covered, leases, references
from trainer.cache.database import transaction
from trainer.cache.shard import Place, Raw, pack
from trainer.cache.tables import CHUNK, count_deletion, generation, is_whole, open_index, shard_path
from trainer.errors import DataError
from trainer.faults import point
from trainer.findings import finding
from trainer.runs.files import write_atomic

OPEN_SHARDS = 32  # file handles per thread
GONE = "is not in the cache any more"


class Objects:
    """Bytes under content keys."""

    def __init__(self, root: Path, kind: str, encoder: str) -> None:
        self.root, self.kind, self.encoder = root, kind, encoder
        self.folder = root / kind / encoder
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's connection."""
        if not hasattr(self._own, "db"):
            self._own.db, self._own.files = open_index(self.root), OrderedDict()
            self._connections.append(self._own.db)
        return self._own.db

    def _write(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self._db)

    def _shard(self, number: int) -> Path:
        return shard_path(self.root, self.kind, self.encoder, number)

    # --- reading ---------------------------------------------------------------------------

    def read(self, key: bytes) -> Raw:
        """The entry of a key, checked; DataError (DAT100) when it is gone or damaged."""
        tried: tuple[int, Place] | None = None
        problem = GONE
        while (found := self._find(key)) is not None and found != tried:
            shard, place = tried = found
            data = bytearray(place.num_bytes)
            try:
                size = os.preadv(self._file(shard), [data], place.offset) if data else 0
            except FileNotFoundError:
                problem = "has lost its file"
                continue
            if size == place.num_bytes and crc32(data) == place.crc:
                return Raw(data, place.layout, place.crc)
            problem = "does not match its checksum"
        raise self._damaged(key, problem, tried if found is not None else None)

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

    def _damaged(self, key: bytes, what: str, at: tuple[int, Place] | None) -> DataError:
        """The error for an entry that cannot be used; the next start encodes it again."""
        if at is not None:
            with self._write() as db:
                if db.execute(
                    "DELETE FROM blob WHERE key = ? AND shard = ?", (key, at[0])
                ).rowcount:
                    count_deletion(db, self.kind, self.encoder)
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

    def rows_of(self, shard: int) -> list[tuple[bytes, int, int, str, int]]:
        """Key, start, bytes, layout and checksum of the entries in a shard, as they lie."""
        return self._db.execute(
            "SELECT key, start, num_bytes, layout, crc FROM blob WHERE shard = ? ORDER BY start",
            (shard,),
        ).fetchall()

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of `keys` that are neither stored nor known to fail, in their order."""
        known = {key for table in ("blob", "failed") for (key,) in self._rows(table, "key", keys)}
        return [key for key in keys if key not in known]

    def not_stored(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of `keys` without an entry, whether they are known to fail or not."""
        known = {key for (key,) in self._rows("blob", "key", keys)}
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

    def put_raw(self, entries: Mapping[bytes, Raw], failed: Mapping[bytes, str]) -> None:
        """Store entries in one new shard, note failures, end the leases; all or nothing.

        An entry that is there already stays as it is.
        """
        while not self._put(entries, failed):
            pass

    def _put(self, entries: Mapping[bytes, Raw], failed: Mapping[bytes, str]) -> bool:
        number, places, size = None, {}, 0
        if entries:
            with self._write() as db:
                number = self.new_shard(db)
            blob, places = pack(entries)
            size = len(blob)
            point("cache.before_shard")
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._shard(number), blob)
            point("cache.after_shard")
        with self._write() as db:
            if number is not None and not self.complete(db, number, size):
                return False  # it took so long that a clean-up thought us dead
            db.executemany(
                "INSERT OR IGNORE INTO blob VALUES (?, ?, ?, ?, ?, ?)",
                [(k, number, p.offset, p.num_bytes, p.layout, p.crc) for k, p in places.items()],
            )
            db.executemany("DELETE FROM failed WHERE key = ?", [(key,) for key in entries])
            db.executemany("INSERT OR REPLACE INTO failed VALUES (?, ?)", failed.items())
            leases.end(db, [*entries, *failed])
        point("cache.after_index")
        return True

    def new_shard(self, db: sqlite3.Connection) -> int:
        """Number for a shard that is about to be written."""
        number = db.execute(
            "INSERT INTO shard (kind, encoder) VALUES (?, ?)", (self.kind, self.encoder)
        ).lastrowid
        assert number is not None
        return number

    def complete(self, db: sqlite3.Connection, number: int, num_bytes: int) -> bool:
        """The shard is written; False when its number was given up meanwhile."""
        done = db.execute("UPDATE shard SET num_bytes = ? WHERE id = ?", (num_bytes, number))
        return done.rowcount > 0

    def drop(self, keys: Iterable[bytes]) -> None:
        """Forget entries; they are encoded again when they are asked for."""
        with self._write() as db:
            gone = db.executemany("DELETE FROM blob WHERE key = ?", [(key,) for key in keys])
            if gone.rowcount > 0:
                count_deletion(db, self.kind, self.encoder)

    def forget_broken_shards(self) -> None:
        """Entries of shards that are gone or shorter than they were are encoded again."""
        rows = self._db.execute(
            "SELECT id, num_bytes FROM shard WHERE kind = ? AND encoder = ? "
            "AND num_bytes IS NOT NULL",
            (self.kind, self.encoder),
        ).fetchall()
        for number, size in rows:
            if not is_whole(self._shard(number), size):
                with self._write() as db:
                    db.execute("DELETE FROM shard WHERE id = ?", (number,))
                    if db.execute("DELETE FROM blob WHERE shard = ?", (number,)).rowcount:
                        count_deletion(db, self.kind, self.encoder)

    # --- who encodes, who uses, what is complete ---------------------------------------------

    def lease(self, keys: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Claim keys for encoding: (those this process now holds, those another one holds).

        Keys that were stored meanwhile are in neither list.
        """
        with self._write() as db:
            wanted = self.missing(keys)
            mine = leases.claim(db, wanted)
        held = set(mine)
        return mine, [key for key in wanted if key not in held]

    def release(self, keys: Sequence[bytes]) -> None:
        """Give leases back without having encoded."""
        with self._write() as db:
            leases.end(db, keys)

    def reference(
        self, run: Path | None, dataset: str, keys: Iterable[bytes], digest: bytes | None = None
    ) -> None:
        """Note that a run uses these entries, stored or not; see `references.record`.

        Call it before asking what is missing: from then on nothing of it is cleared away.
        """
        use = references.Use(run, dataset, self.kind, self.encoder)
        references.record(self._db, self.root, use, keys, digest)

    def describe(self, parts: Mapping[str, str]) -> None:
        """Note what the encoder is made of, for people."""
        text = json.dumps(dict(parts), ensure_ascii=False)
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO encoder VALUES (?, ?, ?)", (self.kind, self.encoder, text)
            )

    def generation(self) -> int:
        """To be asked before looking what is missing, and handed to `cover` afterwards."""
        return generation(self._db, self.kind, self.encoder)

    def covered(self, digest: bytes) -> list[int] | None:
        """None: not known to be complete. Else the numbers of the samples that cannot be encoded.

        `digest` names what the keys follow from: samples, settings, not the keys themselves.
        """
        return covered.look_up(self._db, self.kind, self.encoder, digest)

    def cover(self, digest: bytes, generation: int, failed: Sequence[int] = ()) -> None:
        """All entries of `digest` were there, and nothing was taken away since `generation`."""
        with self._write() as db:
            covered.record(db, self.kind, self.encoder, digest, generation, failed)

    def close(self) -> None:
        """End all connections; file handles of other threads end with those threads."""
        for fd in getattr(self._own, "files", {}).values():
            os.close(fd)
        for db in self._connections:
            db.close()
        self._own = threading.local()
        self._connections.clear()
