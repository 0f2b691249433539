"""What the cache holds and who uses it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.cache.gc import total_bytes
from trainer.cache.references import Reference, all_references
from trainer.cache.tables import open_index, stores


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """One kind and encoder. `num_bytes` is the size of the files, `live_bytes` of the entries in
    them; `runs` are those that can be resumed; `used` in seconds since 1970."""

    kind: str
    encoder: str
    parts: dict[str, str]
    entries: int
    num_bytes: int
    live_bytes: int
    shards: int
    runs: int
    used: float | None


def stat(root: Path) -> dict[str, Any]:
    """Figures of the cache below `root`, ready for JSON."""
    with closing(open_index(root)) as db:
        references = all_references(db)
        protecting = {r.id for r in references if r.protects}
        rows = [_figures(db, kind, enc, references, protecting) for kind, enc in stores(db)]
        return {
            "root": str(root),
            "num_bytes": total_bytes(db),
            "entries": sum(row.entries for row in rows),
            "failed": db.execute("SELECT count(*) FROM failed").fetchone()[0],
            "stores": [asdict(row) for row in rows],
            "references": [
                {
                    "run": r.run or None,
                    "dataset": r.dataset,
                    "kind": r.kind,
                    "encoder": r.encoder,
                    "entries": r.num_keys,
                    "used": r.used,
                    "resumable": r.id in protecting,
                }
                for r in references
            ],
        }


def _figures(
    db: sqlite3.Connection,
    kind: str,
    encoder: str,
    references: list[Reference],
    protecting: set[int],
) -> StoreFigures:
    own = [r for r in references if (r.kind, r.encoder) == (kind, encoder)]
    shards, size = db.execute(
        "SELECT count(*), coalesce(sum(num_bytes), 0) FROM shard "
        "WHERE kind = ? AND encoder = ? AND num_bytes IS NOT NULL",
        (kind, encoder),
    ).fetchone()
    entries, live = db.execute(
        "SELECT count(*), coalesce(sum(b.num_bytes), 0) FROM shard s JOIN blob b "
        "ON b.shard = s.id WHERE s.kind = ? AND s.encoder = ?",
        (kind, encoder),
    ).fetchone()
    return StoreFigures(
        kind=kind,
        encoder=encoder,
        parts=describe(db, kind, encoder),
        entries=entries,
        num_bytes=size,
        live_bytes=live,
        shards=shards,
        runs=len({r.run for r in own if r.id in protecting}),
        used=max((r.used for r in own), default=None),
    )


def describe(db: sqlite3.Connection, kind: str, encoder: str) -> dict[str, str]:
    """What an encoder is made of; empty when nobody noted it."""
    row = db.execute(
        "SELECT parts FROM encoder WHERE kind = ? AND encoder = ?", (kind, encoder)
    ).fetchone()
    return json.loads(row[0]) if row else {}
