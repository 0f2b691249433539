"""Cleaning up: what nothing needs goes, and its room is given back.

Entries that a resumable run uses always stay. Of the others, those unused for long go, or as many
of the longest unused as a quota asks for. Shards that lost more than half of what they held are
rewritten. It works beside readers and builders, and ends consistent wherever it is killed: the
index forgets a shard in the same transaction in which it learns where the rest of it lies now, and
only then the file goes; a file that the index does not know is removed by the next clean-up.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from trainer.cache import covered, references
from trainer.cache.compact import compact
from trainer.cache.database import transaction
from trainer.cache.marks import COST, SHARD_COST, Marks
from trainer.cache.tables import count_deletion, open_index, shard_path
from trainer.faults import point
from trainer.findings import Finding, finding

UNUSED_DAYS = 30.0
ABANDONED_S = 3600.0  # a shard takes seconds to write
DAY_S = 86400.0
SHARD = re.compile(r"\.?(\d{6,})\.st(\..+)?")


@dataclass(slots=True)
class Cleared:
    """What a clean-up did, or would do; bytes as on the disk."""

    entries: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    shards_rewritten: int = 0
    files_removed: int = 0
    findings: list[Finding] = field(default_factory=list)


def collect(
    root: Path,
    *,
    quota: int | None = None,
    unused_days: float | None = None,
    dry_run: bool = False,
) -> Cleared:
    """Clear the cache below `root`.

    With a `quota` in bytes the longest unused entries go until the rest fits; without one those
    unused for `unused_days` (default 30). Given both, both.
    """
    if unused_days is None and quota is None:
        unused_days = UNUSED_DAYS
    since = 0.0 if unused_days is None else time.time() - unused_days * DAY_S
    done = Cleared()
    with closing(open_index(root)) as db, _turn(root):
        done.bytes_before = total_bytes(db)
        marks = Marks(db, root)
        marks.condemn(unused_since=since, excess=0 if quota is None else _wanted(db) - quota)
        if dry_run:
            _foresee(db, done)
        else:
            _sweep(db, root, marks, done)
            done.shards_rewritten = compact(db, root, quota)
            point("gc.before_orphans")
            done.files_removed += _remove_orphans(db, root)
            with transaction(db):
                references.forget(db, root, since)
                covered.forget_stale(db)
            done.bytes_after = total_bytes(db)
        done.findings = [_lost(reference) for reference in marks.lost]
        if quota is not None and done.bytes_after > quota:
            done.findings.append(_too_much(done.bytes_after, quota, root, needed_by(db)))
    return done


def total_bytes(db: sqlite3.Connection) -> int:
    """Size of all shards."""
    return db.execute("SELECT coalesce(sum(num_bytes), 0) FROM shard").fetchone()[0]


def _wanted(db: sqlite3.Connection) -> int:
    """Size of all shards if they held nothing but what is stored."""
    entries = db.execute(f"SELECT coalesce(sum({COST}), 0) FROM blob b").fetchone()[0]
    return entries + SHARD_COST * db.execute("SELECT count(*) FROM shard").fetchone()[0]


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """One clean-up at a time."""
    fd = os.open(root / "gc.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _foresee(db: sqlite3.Connection, done: Cleared) -> None:
    done.entries, freed = db.execute(
        "SELECT count(*), coalesce(sum(cost), 0) FROM victim"
    ).fetchone()
    done.bytes_after = max(0, done.bytes_before - freed)


def _sweep(db: sqlite3.Connection, root: Path, marks: Marks, done: Cleared) -> None:
    """Delete the victims, a shard in a transaction."""
    for number, kind, encoder in marks.shards():
        with transaction(db):
            marks.refresh()
            gone = db.execute(
                "DELETE FROM blob WHERE shard = ? AND key IN "
                "(SELECT key FROM victim WHERE shard = ?)",
                (number, number),
            ).rowcount
            if gone:
                count_deletion(db, kind, encoder)
            empty = forget_empty(db, number)
        point("gc.after_sweep")
        done.entries += gone
        if empty:
            point("gc.before_unlink")
            shard_path(root, kind, encoder, number).unlink(missing_ok=True)
            done.files_removed += 1


def forget_empty(db: sqlite3.Connection, number: int) -> bool:
    """Forget a shard that holds nothing; True when it did not."""
    if db.execute("SELECT 1 FROM blob WHERE shard = ? LIMIT 1", (number,)).fetchone():
        return False
    return db.execute("DELETE FROM shard WHERE id = ?", (number,)).rowcount > 0


def _remove_orphans(db: sqlite3.Connection, root: Path) -> int:
    """Files that no shard stands for: left by a crash, or by an index that is gone."""
    files = [path for path in root.glob("*/*/*") if SHARD.fullmatch(path.name)]  # before the rows
    _give_up_abandoned(db, root)
    rows = db.execute("SELECT id, kind, encoder, num_bytes FROM shard").fetchall()
    known = {(kind, encoder, number): size for number, kind, encoder, size in rows}
    removed = 0
    for path in files:
        match = SHARD.fullmatch(path.name)
        assert match is not None
        place = (path.parent.parent.name, path.parent.name, int(match[1]))
        in_writing = place in known and known[place] is None
        in_use = place in known and not path.name.startswith(".")
        if not in_writing and not in_use:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _give_up_abandoned(db: sqlite3.Connection, root: Path) -> None:
    """Numbers of shards whose writer died. Should it live after all, it writes the shard again."""
    rows = db.execute("SELECT id, kind, encoder FROM shard WHERE num_bytes IS NULL").fetchall()
    for number, kind, encoder in rows:
        folder = root / kind / encoder
        files = [*folder.glob(f"{number:06d}.st"), *folder.glob(f".{number:06d}.st.*")]
        newest = max((path.stat().st_mtime for path in files if path.exists()), default=0.0)
        if newest < time.time() - ABANDONED_S:
            with transaction(db):
                db.execute("DELETE FROM shard WHERE id = ? AND num_bytes IS NULL", (number,))


def needed_by(db: sqlite3.Connection) -> list[str]:
    """Directories of the runs whose entries have to stay."""
    return sorted({r.run for r in references.all_references(db) if r.protects})


def _too_much(size: int, quota: int, root: Path, runs: list[str]) -> Finding:
    return finding(
        "DAT104",
        f"the cache keeps {size / 1e9:.2f} GB, more than its quota of {quota / 1e9:.2f} GB",
        where=str(root),
        why="runs that can be resumed use what is left of it",
        fix="raise the quota, or remove the directories of runs that are not to go on",
        level="warn",
        runs=runs,
    )


def _lost(reference: references.Reference) -> Finding:
    return finding(
        "DAT106",
        f"it is not known which entries {reference.run} uses; all of their kind were kept",
        where=str(reference.run),
        why="the list of its keys in the folder refs of the cache is gone or cut off",
        fix="start the run again, which writes the list anew, or remove its directory",
        level="warn",
        dataset=reference.dataset,
        kind=reference.kind,
    )
