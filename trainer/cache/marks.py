"""What a clean-up may take: entries that no resumable run uses, the longest unused first.

Marks live in temporary tables of one connection, so ten million keys need no memory. References
that appear while the clean-up runs are taken in before each deletion.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from trainer.cache.references import Reference, all_references, keys_of
from trainer.cache.tables import shard_path

SCHEMA = """
CREATE TEMP TABLE mark (key BLOB PRIMARY KEY, used REAL, kept INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE victim (key BLOB PRIMARY KEY, shard INTEGER, cost INTEGER) WITHOUT ROWID;
CREATE INDEX temp.victim_of_shard ON victim (shard);
CREATE TEMP TABLE made (shard INTEGER PRIMARY KEY, at REAL);
"""
# Bytes that an entry takes in a shard, its share of the header included (never too few).
COST = "(b.num_bytes + 5 * length(b.layout))"
SHARD_COST = 128  # of the header that belongs to no entry
PUT_MARK = (
    "INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
    "used = max(used, excluded.used), kept = max(kept, excluded.kept)"
)


class Marks:
    """Entries by use; `lost` are protecting references whose list of keys is gone."""

    def __init__(self, db: sqlite3.Connection, root: Path) -> None:
        self._db, self._root = db, root
        self._seen = 0
        self.lost: list[Reference] = []
        db.executescript(SCHEMA)
        self.refresh()
        shards = db.execute("SELECT id, kind, encoder FROM shard WHERE num_bytes IS NOT NULL")
        db.executemany(
            "INSERT INTO made VALUES (?, ?)",
            [(n, _made(shard_path(root, kind, enc, n))) for n, kind, enc in shards.fetchall()],
        )

    def refresh(self) -> None:
        """Take in references made since; what they use is a victim no more."""
        new = all_references(self._db, self._seen)
        for reference in new:
            self._take(reference, reference.protects)
            self._seen = reference.id
        if new:
            self._db.execute(
                "DELETE FROM victim WHERE key IN "
                "(SELECT v.key FROM victim v JOIN mark m ON m.key = v.key WHERE m.kept)"
            )

    def _take(self, reference: Reference, kept: bool) -> None:
        keys = keys_of(self._root, reference)
        if keys is not None:
            marks = ((key, reference.used, kept) for key in keys)
            self._db.executemany(PUT_MARK, marks)
        elif kept:  # nobody knows which: all of the store
            self.lost.append(reference)
            self._db.execute(
                "INSERT OR REPLACE INTO mark SELECT b.key, ?, 1 FROM blob b "
                "JOIN shard s ON s.id = b.shard WHERE s.kind = ? AND s.encoder = ?",
                (reference.used, reference.kind, reference.encoder),
            )

    def condemn(self, *, unused_since: float, excess: int) -> None:
        """Choose victims: all that were last used before `unused_since`, and as many of the
        others, the longest unused first, as give back `excess` bytes."""
        rows = self._db.execute(
            f"SELECT b.key, b.shard, {COST}, max(coalesce(m.used, 0), a.at) AS used FROM blob b "
            "JOIN made a ON a.shard = b.shard LEFT JOIN mark m ON m.key = b.key "
            "WHERE NOT coalesce(m.kept, 0) ORDER BY used, b.key"
        )
        freed = 0
        chosen = []
        for key, shard, cost, used in rows:
            if used >= unused_since and freed >= excess:
                break
            chosen.append((key, shard, cost))
            freed += cost
            if len(chosen) >= 10_000:
                self._db.executemany("INSERT INTO victim VALUES (?, ?, ?)", chosen)
                chosen.clear()
        self._db.executemany("INSERT INTO victim VALUES (?, ?, ?)", chosen)

    def shards(self) -> list[tuple[int, str, str]]:
        """Number, kind and encoder of shards that hold victims."""
        rows = self._db.execute(
            "SELECT s.id, s.kind, s.encoder FROM shard s "
            "WHERE s.id IN (SELECT shard FROM victim) ORDER BY s.id"
        )
        return rows.fetchall()


def _made(shard: Path) -> float:
    try:
        return shard.stat().st_mtime
    except FileNotFoundError:
        return 0.0
