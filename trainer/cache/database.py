"""Opening the SQLite files of cache and index, safely while other processes do the same.

Write-ahead logging lets readers and one writer work at once. Switching a new file to it is the
one step that SQLite refuses at once, without waiting, when two processes try; so that step and
the making of tables are taken in turns, under a lock file beside the database.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WAIT_S = 60  # for a writer in another process


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """A connection in autocommit mode; the tables of `schema` exist afterwards."""
    db = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        with _turn(path):
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                db.execute("PRAGMA journal_mode=WAL")
            db.executescript(schema)
        db.execute("PRAGMA synchronous=NORMAL")  # a power cut may take the last commits, no more
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    fd = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, one writer at a time over all processes."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
