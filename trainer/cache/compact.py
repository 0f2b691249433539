"""Shards that hold mostly nothing are rewritten, and the room of what they lost is given back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainer.cache.database import transaction
from trainer.cache.marks import COST, SHARD_COST
from trainer.cache.objects import Objects
from trainer.cache.shard import Raw, pack
from trainer.cache.tables import count_deletion, shard_path, stores
from trainer.errors import DataError
from trainer.faults import point
from trainer.runs.files import write_atomic

LIVE_SHARE = 0.5
SHARD_BYTES = 64 << 20  # of a rewritten shard
SMALL_BYTES = 1 << 20  # shards below it are put together
MANY = 16

Row = tuple[int, int, int]  # number, bytes of the file, bytes that its entries need


def compact(db: sqlite3.Connection, root: Path, quota: int | None = None) -> int:
    """Rewrite shards of which less than half is alive, and many small ones into few; with a
    quota also fuller ones until everything fits. Returns the number of shards rewritten."""
    total = db.execute("SELECT coalesce(sum(num_bytes), 0) FROM shard").fetchone()[0]
    rewritten = 0
    for kind, encoder in stores(db):
        rows = _shards(db, kind, encoder)
        chosen = [row for row in rows if row[2] < LIVE_SHARE * row[1]]
        small = [row for row in rows if row not in chosen and row[1] < SMALL_BYTES]
        if len(small) >= MANY:
            chosen += small
        rest = sorted((r for r in rows if r not in chosen), key=lambda r: r[2] - r[1])
        left = total - sum(size - live for _, size, live in chosen)
        while quota is not None and left > quota and rest and rest[0][2] < rest[0][1]:
            number, size, live = rest.pop(0)
            chosen.append((number, size, live))
            left -= size - live
        total = left
        objects = Objects(root, kind, encoder)
        try:
            for group in _groups(chosen):
                rewrite(db, objects, group)
        finally:
            objects.close()
        rewritten += len(chosen)
    return rewritten


def _shards(db: sqlite3.Connection, kind: str, encoder: str) -> list[Row]:
    return db.execute(
        f"SELECT s.id, s.num_bytes, coalesce(sum({COST}), 0) + {SHARD_COST} FROM shard s "
        "LEFT JOIN blob b ON b.shard = s.id "
        "WHERE s.kind = ? AND s.encoder = ? AND s.num_bytes IS NOT NULL GROUP BY s.id",
        (kind, encoder),
    ).fetchall()


def _groups(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Shards that are rewritten into one."""
    group, size = [], 0
    for number, _, live in sorted(rows):
        if group and size + live > SHARD_BYTES:
            yield group
            group, size = [], 0
        group.append(number)
        size += live
    if group:
        yield group


def rewrite(db: sqlite3.Connection, objects: Objects, numbers: Sequence[int]) -> None:
    """Move what is alive in some shards into a new one, then remove them."""
    paths = {n: shard_path(objects.root, objects.kind, objects.encoder, n) for n in numbers}
    marks = ",".join("?" * len(numbers))
    keys = db.execute(f"SELECT key FROM blob WHERE shard IN ({marks})", list(numbers)).fetchall()
    alive: dict[bytes, Raw] = {}
    for (key,) in keys:
        try:
            alive[key] = objects.read(key)
        except DataError:
            continue  # damaged, and dropped by that; it is encoded again
    number, places, size = None, {}, 0
    if alive:
        with transaction(db):
            number = objects.new_shard(db)
        blob, places = pack(alive)
        size = len(blob)
        write_atomic(path := shard_path(objects.root, objects.kind, objects.encoder, number), blob)
        made = max((p.stat().st_mtime for p in paths.values() if p.exists()), default=0.0)
        os.utime(path, (made, made))  # entries do not become younger by being moved
        point("gc.after_write")
    with transaction(db):
        if number is not None and not objects.complete(db, number, size):
            return
        db.executemany(
            f"UPDATE blob SET shard = ?, start = ? WHERE key = ? AND shard IN ({marks})",
            [(number, place.offset, key, *numbers) for key, place in places.items()],
        )
        emptied = []
        for old in numbers:
            if not db.execute("SELECT 1 FROM blob WHERE shard = ? LIMIT 1", (old,)).fetchone():
                db.execute("DELETE FROM shard WHERE id = ?", (old,))
                emptied.append(old)
        if len(alive) < len(keys):
            count_deletion(db, objects.kind, objects.encoder)
    point("gc.after_commit")
    for old in emptied:
        paths[old].unlink(missing_ok=True)
