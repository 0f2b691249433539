"""Where entries came from: for each encoded sample the parts of its key, in plain words.

Kept beside the index in `origin.db`, and only for `stune cache why`: losing it costs nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.cache.database import connect, transaction

DATABASE = "origin.db"
SCHEMA = """
CREATE TABLE IF NOT EXISTS source (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS origin (
  source INTEGER, relpath TEXT, kind TEXT, key BLOB, encoder TEXT, parts TEXT, made REAL,
  PRIMARY KEY (source, relpath, kind, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """A sample and what the key of its entry was made of, besides the encoder."""

    source: str  # name of the source: a folder, or a URL without secrets
    relpath: str
    kind: str
    key: bytes
    encoder: str
    parts: Mapping[str, str]
    made: float = 0.0  # seconds since 1970


@contextmanager
def _open(root: Path) -> Iterator[sqlite3.Connection]:
    root.mkdir(parents=True, exist_ok=True)
    with closing(connect(root / DATABASE, SCHEMA)) as db:
        yield db


def record(root: Path, origins: Iterable[Origin]) -> None:
    """Note where entries come from; a sample that was noted before keeps its first time."""
    now = time.time()
    with _open(root) as db, transaction(db):
        for origin in origins:
            db.execute("INSERT OR IGNORE INTO source (name) VALUES (?)", (origin.source,))
            db.execute(
                "INSERT OR IGNORE INTO origin SELECT id, ?, ?, ?, ?, ?, ? FROM source "
                "WHERE name = ?",
                (
                    *(origin.relpath, origin.kind, origin.key, origin.encoder),
                    *(json.dumps(dict(origin.parts), ensure_ascii=False), now, origin.source),
                ),
            )


def of_sample(root: Path, path: str) -> list[Origin]:
    """What is known of the sample at `path` (source name, "/", path in it), oldest first.

    The path of a caption file finds the sample beside it.
    """
    with _open(root) as db:
        for source, name in db.execute("SELECT id, name FROM source").fetchall():
            prefix = name.rstrip("/") + "/"
            if not path.startswith(prefix):
                continue
            relpath = path.removeprefix(prefix)
            found = _rows(db, name, "source = ? AND relpath = ?", (source, relpath))
            if not found:
                stem = relpath.rpartition(".")[0] + "."
                found = _rows(
                    db,
                    name,
                    "source = ? AND relpath >= ? AND substr(relpath, 1, ?) = ? "
                    "AND instr(substr(relpath, ?), '/') = 0",
                    (source, stem, len(stem), stem, len(stem) + 1),
                )
            if found:
                return found
    return []


def _rows(db: sqlite3.Connection, source: str, where: str, values: tuple) -> list[Origin]:
    rows = db.execute(
        f"SELECT relpath, kind, key, encoder, parts, made FROM origin WHERE {where} "
        "ORDER BY made, key",
        values,
    )
    return [
        Origin(source, relpath, kind, key, encoder, json.loads(parts), made)
        for relpath, kind, key, encoder, parts, made in rows
    ]


def of_keys(root: Path, keys: Iterable[bytes]) -> dict[bytes, str]:
    """A place for each key that one is known for, for messages."""
    found: dict[bytes, str] = {}
    with _open(root) as db:
        wanted = set(keys)
        if not wanted:
            return found
        query = "SELECT s.name, o.relpath, o.key FROM origin o JOIN source s ON s.id = o.source"
        for name, relpath, key in db.execute(query):
            if key in wanted:
                found.setdefault(key, f"{name}/{relpath}")
    return found
