"""What was found complete, so that a second start need not ask for ten million keys one by one.

A record holds until any entry of its store is taken away; then the keys are asked for again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from trainer.cache.tables import generation


def look_up(db: sqlite3.Connection, kind: str, encoder: str, digest: bytes) -> list[int] | None:
    """Numbers of the samples that cannot be encoded; None when the record does not hold."""
    row = db.execute(
        "SELECT generation, failed FROM covered WHERE kind = ? AND encoder = ? AND digest = ?",
        (kind, encoder, digest),
    ).fetchone()
    if row is None or row[0] != generation(db, kind, encoder):
        return None
    return json.loads(row[1])


def record(
    db: sqlite3.Connection,
    kind: str,
    encoder: str,
    digest: bytes,
    generation: int,
    failed: Sequence[int],
) -> None:
    db.execute(
        "INSERT OR REPLACE INTO covered VALUES (?, ?, ?, ?, ?)",
        (kind, encoder, digest, generation, json.dumps(list(failed))),
    )


def forget_stale(db: sqlite3.Connection) -> None:
    """Records that a deletion has overtaken."""
    db.execute(
        "DELETE FROM covered WHERE generation != coalesce((SELECT number FROM deletions d "
        "WHERE d.kind = covered.kind AND d.encoder = covered.encoder), 0)"
    )
