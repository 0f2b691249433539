"""Tables of `cache.db`, the one index over everything in the cache.

`shard` and `blob` say where an entry lies, `failed` what cannot be encoded, `lease` who encodes a
key at the moment. `reference` remembers which runs use which entries: its keys lie in packed files
beside the database, so ten million of them are one row. `covered` remembers what was found
complete, and `deletions` counts what was taken away since: a record made before the last deletion
counts for nothing. `encoder` describes encoders for people.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from trainer.cache.database import connect

DATABASE = "cache.db"
SCHEMA = """
CREATE TABLE IF NOT EXISTS shard (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, encoder TEXT, num_bytes INTEGER);
CREATE TABLE IF NOT EXISTS blob (
  key BLOB PRIMARY KEY, shard INTEGER, start INTEGER, num_bytes INTEGER, layout TEXT, crc INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blob_of_shard ON blob (shard);
CREATE TABLE IF NOT EXISTS failed (key BLOB PRIMARY KEY, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
  key BLOB PRIMARY KEY, pid INTEGER, start_ticks INTEGER, boot_id TEXT, expires REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reference (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT, dataset TEXT, kind TEXT, encoder TEXT,
  list TEXT, num_keys INTEGER, used REAL, UNIQUE (run, dataset, kind, encoder));
CREATE TABLE IF NOT EXISTS covered (
  kind TEXT, encoder TEXT, digest BLOB, generation INTEGER, failed TEXT,
  PRIMARY KEY (kind, encoder, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deletions (
  kind TEXT, encoder TEXT, number INTEGER, PRIMARY KEY (kind, encoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS encoder (
  kind TEXT, encoder TEXT, parts TEXT, PRIMARY KEY (kind, encoder)) WITHOUT ROWID;
"""
CHUNK = 500  # keys per query


def open_index(root: Path) -> sqlite3.Connection:
    """A connection to the index of the cache below `root`, which is made if need be."""
    root.mkdir(parents=True, exist_ok=True)
    return connect(root / DATABASE, SCHEMA)


def stores(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """Kind and encoder of everything that holds entries, sorted."""
    rows = db.execute("SELECT DISTINCT kind, encoder FROM shard WHERE num_bytes IS NOT NULL")
    return sorted(rows.fetchall())


def shard_path(root: Path, kind: str, encoder: str, number: int) -> Path:
    return root / kind / encoder / f"{number:06d}.st"


def is_whole(shard: Path, num_bytes: int) -> bool:
    """Whether a shard is there in the length that it was written with."""
    try:
        return shard.stat().st_size == num_bytes
    except FileNotFoundError:
        return False


# --- what was complete ------------------------------------------------------------------------


def generation(db: sqlite3.Connection, kind: str, encoder: str) -> int:
    """How often entries of this store were taken away so far."""
    row = db.execute(
        "SELECT number FROM deletions WHERE kind = ? AND encoder = ?", (kind, encoder)
    ).fetchone()
    return row[0] if row else 0


def count_deletion(db: sqlite3.Connection, kind: str, encoder: str) -> None:
    """To be called in the transaction that takes entries away."""
    db.execute(
        "INSERT INTO deletions VALUES (?, ?, 1) "
        "ON CONFLICT (kind, encoder) DO UPDATE SET number = number + 1",
        (kind, encoder),
    )
