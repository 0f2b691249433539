"""Reading everything once: which entries are still what was stored?

Every entry is compared with its checksum, every shard's own header with the index. What is damaged
can be dropped; the next start that needs it encodes it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from trainer.cache.compact import rewrite
from trainer.cache.objects import Objects
from trainer.cache.origin import of_keys
from trainer.cache.shard import read_header, tensors_of
from trainer.cache.tables import open_index, shard_path, stores
from trainer.errors import TrainerError
from trainer.findings import Finding, finding

HEADER = "the header of its file"
NAMED = 20  # damaged entries whose samples are named

Row = tuple[bytes, int, int, str, int]  # key, start, bytes, layout, checksum


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that is not what was stored, or (without key) a shard whose header is not."""

    kind: str
    encoder: str
    shard: int
    key: bytes
    what: str


@dataclass(slots=True)
class Verified:
    entries: int = 0
    num_bytes: int = 0
    shards: int = 0
    damaged: list[Damage] = field(default_factory=list)
    repaired: bool = False
    findings: list[Finding] = field(default_factory=list)


def verify(
    root: Path, *, repair: bool = False, on_progress: Callable[[int, int], None] | None = None
) -> Verified:
    """Read all shards of the cache below `root`; with `repair`, damaged entries are dropped and
    damaged headers written anew."""
    done = Verified(repaired=repair)
    with closing(open_index(root)) as db:
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise TrainerError(_broken_index(root, problem))
        total = db.execute("SELECT count(*) FROM shard WHERE num_bytes IS NOT NULL").fetchone()[0]
        for kind, encoder in stores(db):
            with closing(Objects(root, kind, encoder)) as objects:
                rows = db.execute(
                    "SELECT id, num_bytes FROM shard WHERE kind = ? AND encoder = ? "
                    "AND num_bytes IS NOT NULL ORDER BY id",
                    (kind, encoder),
                ).fetchall()
                for number, size in rows:
                    found = _shard(objects, number, size, done)
                    if repair and found:
                        objects.drop([d.key for d in found if d.key])
                        if any(not d.key for d in found):
                            rewrite(db, objects, [number])
                    done.damaged += found
                    done.shards += 1
                    if on_progress is not None:
                        on_progress(done.shards, total)
                if repair:
                    objects.forget_broken_shards()
    if done.damaged:
        done.findings.append(_damaged(root, done))
    return done


def _shard(objects: Objects, number: int, size: int, done: Verified) -> list[Damage]:
    """What is wrong with a shard."""
    rows = objects.rows_of(number)
    path = shard_path(objects.root, objects.kind, objects.encoder, number)

    def damage(key: bytes, what: str) -> Damage:
        return Damage(objects.kind, objects.encoder, number, key, what)

    try:
        with path.open("rb") as file:
            found = []
            if (found_size := os.fstat(file.fileno()).st_size) != size:
                found.append(damage(b"", f"it has {found_size} bytes instead of {size}"))
            elif not _header_is_right(file.fileno(), rows):
                found.append(damage(b"", HEADER))
            for key, start, num_bytes, _, crc in rows:
                data = os.pread(file.fileno(), num_bytes, start)
                done.entries += 1
                done.num_bytes += num_bytes
                if len(data) != num_bytes or crc32(data) != crc:
                    found.append(damage(key, "it does not match its checksum"))
    except FileNotFoundError:
        found = [damage(row[0], "its file is gone") for row in rows]
    # what a clean-up moved or cleared away meanwhile is not damaged
    here = {row[0] for row in objects.rows_of(number)} if found else set()
    return [d for d in found if (d.key in here if d.key else here)]


def _header_is_right(fd: int, rows: list[Row]) -> bool:
    """Whether the file says of its entries what the index says."""
    length = int.from_bytes(os.pread(fd, 8, 0), "little")
    if length > os.fstat(fd).st_size:
        return False
    try:
        base, header = read_header(os.pread(fd, 8 + length, 0))
    except ValueError:
        return False
    return all(
        header.get(name) == tensor
        for key, start, _, layout, _ in rows
        for name, tensor in tensors_of(key, layout, start - base).items()
    )


def _damaged(root: Path, done: Verified) -> Finding:
    keys = [d.key for d in done.damaged if d.key]
    headers = len(done.damaged) - len(keys)
    parts = [f"{len(keys)} of {done.entries} entries are damaged"] if keys else []
    parts += [f"{headers} files have a damaged header"] if headers else []
    fix = "stune cache verify --repair drops them; the next start encodes them again"
    return finding(
        "DAT105",
        " and ".join(parts),
        where=str(root),
        why="a file was changed or removed, or the disk returned wrong bytes",
        fix="they were dropped; the next start encodes them again" if done.repaired else fix,
        level="warn" if done.repaired else "error",
        samples=sorted(of_keys(root, keys).values())[:NAMED],
    )


def _broken_index(root: Path, problem: str) -> Finding:
    return finding(
        "DAT103",
        f"the index of the cache is damaged: {problem}",
        where=str(root),
        why="it says where each entry lies",
        fix="remove cache.db in this folder; everything is then encoded again",
    )
