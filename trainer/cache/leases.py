"""Who encodes a key at the moment, so that two processes do not do the same work.

The lease of a process that died counts for nothing, whatever its expiry says.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence

from trainer.cache.tables import CHUNK
from trainer.runs.heartbeat import process_identity, same_process

LEASE_S = 600.0  # renewed with every group; only a stopped or hung process ever reaches it


def claim(db: sqlite3.Connection, keys: Sequence[bytes]) -> list[bytes]:
    """Claim those of `keys` that no other living process holds; call it in a transaction."""
    owner = process_identity(os.getpid())
    now = time.time()
    taken = {
        key
        for key, pid, ticks, boot, expires in _held(db, keys)
        if pid != owner["pid"]
        and expires > now
        and same_process({"pid": pid, "start_ticks": ticks, "boot_id": boot})
    }
    mine = [key for key in keys if key not in taken]
    claimed = (owner["pid"], owner["start_ticks"], owner["boot_id"], now + LEASE_S)
    db.executemany(
        "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)", [(k, *claimed) for k in mine]
    )
    return mine


def _held(db: sqlite3.Connection, keys: Sequence[bytes]) -> list[tuple]:
    rows: list[tuple] = []
    for start in range(0, len(keys), CHUNK):
        part = keys[start : start + CHUNK]
        marks = ",".join("?" * len(part))
        rows += db.execute(f"SELECT * FROM lease WHERE key IN ({marks})", part)
    return rows


def end(db: sqlite3.Connection, keys: Sequence[bytes]) -> None:
    db.executemany("DELETE FROM lease WHERE key = ?", [(key,) for key in keys])
