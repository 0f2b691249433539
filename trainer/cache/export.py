"""A part of the cache as one file, for another machine: a tar of shards and what lies in them.

Members: `cache.json`; for each shard `<kind>/<encoder>/NNNNNN.json` (keys, places, layouts and
checksums) and then `NNNNNN.st`; last `end.json`, so that a file that was cut off is noticed. The
shards are written for the file; no entry is in it twice, and damaged ones are left out.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.cache.compact import SHARD_BYTES
from trainer.cache.objects import Objects
from trainer.cache.references import all_references, keys_of
from trainer.cache.shard import Raw, pack
from trainer.cache.tables import open_index, stores
from trainer.errors import DataError
from trainer.findings import Finding, finding
from trainer.runs.files import fsync_dir

FORMAT = "stune-cache/1"


@dataclass(slots=True)
class Sent:
    """What was written."""

    file: Path
    entries: int = 0
    num_bytes: int = 0
    damaged: int = 0
    findings: list[Finding] = field(default_factory=list)


def export(
    root: Path,
    file: Path,
    *,
    run: Path | None = None,
    dataset: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Sent:
    """Write the entries that a run or a dataset uses (default: all) to `file`, in one step."""
    sent = Sent(file)
    tick = on_progress or (lambda done, total: None)
    part = file.with_name(f".{file.name}.part")
    with closing(open_index(root)) as db:
        total = _choose(db, root, run, dataset)
        try:
            with part.open("wb") as out:
                with tarfile.open(fileobj=out, mode="w|") as tar:
                    _write(tar, db, root, sent, lambda done: tick(done, total))
                out.flush()
                os.fsync(out.fileno())
            os.replace(part, file)
            fsync_dir(file.absolute().parent)
        finally:
            part.unlink(missing_ok=True)
    if sent.damaged:
        sent.findings.append(_left_out(root, sent.damaged))
    return sent


def _choose(db: sqlite3.Connection, root: Path, run: Path | None, dataset: str | None) -> int:
    """Fill the table of chosen keys; their number."""
    db.execute("CREATE TEMP TABLE chosen (key BLOB PRIMARY KEY) WITHOUT ROWID")
    if run is None and dataset is None:
        db.execute("INSERT INTO chosen SELECT key FROM blob")
    else:
        name = None if run is None else str(run.resolve())
        found = [
            reference
            for reference in all_references(db)
            if name in (None, reference.run) and dataset in (None, reference.dataset)
        ]
        if not found:
            raise DataError(_unknown(root, run, dataset))
        for reference in found:
            keys = keys_of(root, reference) or ()
            db.executemany("INSERT OR IGNORE INTO chosen VALUES (?)", ((key,) for key in keys))
    return db.execute("SELECT count(*) FROM chosen JOIN blob USING (key)").fetchone()[0]


def _write(
    tar: tarfile.TarFile, db: sqlite3.Connection, root: Path, sent: Sent, tick: Callable[[int], Any]
) -> None:
    kinds = stores(db)
    encoders = db.execute("SELECT kind, encoder, parts FROM encoder ORDER BY kind, encoder")
    about = [row for row in encoders if (row[0], row[1]) in kinds]
    _add_json(tar, "cache.json", {"format": FORMAT, "encoders": about})
    for kind, encoder in kinds:
        with closing(Objects(root, kind, encoder)) as objects:
            for number, entries in enumerate(_groups(db, objects, sent), 1):
                blob, places = pack(entries)
                rows = [
                    [key.hex(), p.offset, p.num_bytes, p.layout, p.crc] for key, p in places.items()
                ]
                name = f"{kind}/{encoder}/{number:06d}"
                _add_json(tar, f"{name}.json", {"entries": rows})
                _add(tar, f"{name}.st", blob)
                sent.entries += len(entries)
                sent.num_bytes += len(blob)
                tick(sent.entries)
    _add_json(tar, "end.json", {"entries": sent.entries})


def _groups(db: sqlite3.Connection, objects: Objects, sent: Sent) -> Iterator[dict[bytes, Raw]]:
    """The chosen entries of a store, in shards."""
    keys = db.execute(
        "SELECT b.key FROM shard s JOIN blob b ON b.shard = s.id "
        "JOIN chosen c ON c.key = b.key WHERE s.kind = ? AND s.encoder = ? ORDER BY s.id, b.start",
        (objects.kind, objects.encoder),
    ).fetchall()
    group: dict[bytes, Raw] = {}
    size = 0
    for (key,) in keys:
        try:
            raw = objects.read(key)
        except DataError:
            sent.damaged += 1
            continue
        group[key] = raw
        size += len(raw.data)
        if size >= SHARD_BYTES:
            yield group
            group, size = {}, 0
    if group:
        yield group


def _add_json(tar: tarfile.TarFile, name: str, record: Any) -> None:
    _add(tar, name, json.dumps(record, separators=(",", ":")).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))


def _left_out(root: Path, count: int) -> Finding:
    return finding(
        "DAT108",
        f"{count} damaged entries are not in the export",
        where=str(root),
        fix="start a run that uses them, which encodes them again, and export once more",
        level="warn",
    )


def _unknown(root: Path, run: Path | None, dataset: str | None) -> Finding:
    asked = [f"run {run}"] if run is not None else []
    asked += [f"dataset {dataset}"] if dataset is not None else []
    return finding(
        "DAT111",
        f"no entry of the cache is used by {' and '.join(asked)}",
        where=str(root),
        fix="stune cache stat lists runs and datasets",
    )
