"""A cache filled by hand: entries of known content, shards of known age, runs that use them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from zlib import crc32

from trainer.cache.objects import Objects
from trainer.cache.shard import Raw
from trainer.cache.tables import open_index, shard_path

KIND, ENCODER = "latents", "vae-1"


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def raw(number: int, size: int = 1000) -> Raw:
    data = random.Random(number).randbytes(size)
    return Raw(data, json.dumps([["latent", "U8", [size]]]), crc32(data))


def objects(root: Path, kind: str = KIND, encoder: str = ENCODER) -> Objects:
    return Objects(root, kind, encoder)


def put(root: Path, numbers: Iterable[int], *, size: int = 1000, made: float | None = None) -> int:
    """One shard with entries of these numbers, written at `made`; its number."""
    with closing(objects(root)) as store:
        store.put_raw({key(n): raw(n, size) for n in numbers}, {})
        shard = store._db.execute("SELECT max(id) FROM shard").fetchone()[0]
    if made is not None:
        os.utime(shard_path(root, KIND, ENCODER, shard), (made, made))
    return shard


def use(root: Path, run: Path | None, numbers: Iterable[int], *, used: float | None = None) -> None:
    """A run uses entries of these numbers, last at `used`."""
    with closing(objects(root)) as store:
        store.reference(run, "a", map(key, numbers))
        if used is not None:
            name = "" if run is None else str(run.resolve())
            store._db.execute("UPDATE reference SET used = ? WHERE run = ?", (used, name))


def end(run: Path, status: str, reason: str = "done") -> None:
    """The record that a run ended."""
    record = {"code": 0, "status": status, "reason": reason, "step": 1, "attempt": 1}
    (run / "exit.json").write_text(json.dumps(record))


def run_dir(root: Path, name: str) -> Path:
    path = root / "runs" / name
    path.mkdir(parents=True)
    return path


def stored(root: Path) -> set[int]:
    """Numbers of all entries of all stores, each read and compared."""
    with closing(open_index(root)) as db:
        rows = db.execute(
            "SELECT b.key, s.kind, s.encoder FROM blob b LEFT JOIN shard s ON s.id = b.shard"
        ).fetchall()
    for found, kind, encoder in rows:
        with closing(objects(root, kind, encoder)) as store:
            data = store.read(found).data
        assert data == raw(int.from_bytes(found, "big"), len(data)).data
    return {int.from_bytes(found, "big") for found, _, _ in rows}


def on_disk(root: Path) -> int:
    """Bytes of all shards as files, which must be those that the index knows."""
    files = {p: p.stat().st_size for p in root.glob("*/*/*.st")}
    with closing(open_index(root)) as db:
        rows = db.execute("SELECT id, kind, encoder, num_bytes FROM shard").fetchall()
    assert {shard_path(root, kind, enc, n): size for n, kind, enc, size in rows} == files
    return sum(files.values())
