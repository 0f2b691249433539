"""Which runs use which entries, so that cleaning up never takes what a run still needs.

One reference is one run, dataset, kind and encoder. Its keys lie packed in
`<root>/refs/<name>.keys`, 16 bytes each; runs on the same data share the file. What a finished
run used is no longer protected, but tells when the entries were last of use.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from trainer.cache.database import transaction
from trainer.cache.keys import KEY_BYTES
from trainer.cache.tables import is_whole
from trainer.runs.exitrecord import read_exit
from trainer.runs.files import write_atomic
from trainer.runs.layout import RunDir

FOLDER = "refs"
BLOCK = 4096  # keys read at once


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses entries of which store; without a run they are noted as used, not protected."""

    run: Path | None
    dataset: str
    kind: str
    encoder: str

    @property
    def run_name(self) -> str:
        return "" if self.run is None else str(self.run.resolve())


@dataclass(frozen=True, slots=True)
class Reference:
    """A row of the table; `used` in seconds since 1970."""

    id: int
    run: str
    dataset: str
    kind: str
    encoder: str
    list: str
    num_keys: int
    used: float

    @property
    def protects(self) -> bool:
        return bool(self.run) and is_resumable(Path(self.run))


def is_resumable(run: Path) -> bool:
    """Whether a run directory is there and its run neither succeeded nor was cancelled for good.

    A run without a record of its end goes on, or was killed and can go on.
    """
    if not run.is_dir():
        return False
    end = read_exit(RunDir(run).exit)
    if end is None:
        return True
    return end.status != "succeeded" and (end.status, end.reason) != ("stopped", "cancel")


def record(
    db: sqlite3.Connection, root: Path, use: Use, keys: Iterable[bytes], digest: bytes | None
) -> None:
    """Note that `use` needs `keys`.

    `digest` names what the keys follow from. Where their list is on the disk already, `keys` is
    not iterated, so a generator costs nothing. The new row has the highest id: a clean-up that is
    under way sees that there is something new.
    """
    packed = bytearray().join(keys) if digest is None else None
    named = repr((use.kind, use.encoder)).encode() + bytes(packed or b"") + (digest or b"")
    name = blake2b(named, digest_size=KEY_BYTES).hexdigest()
    while True:
        if packed is None and _num_listed(db, root, name) is None:
            packed = bytearray().join(keys)
        with transaction(db):
            count = _num_listed(db, root, name)
            if count is None:
                if packed is None:
                    continue  # a clean-up was faster
                count = len(packed) // KEY_BYTES
                list_path(root, name).parent.mkdir(exist_ok=True)
                write_atomic(list_path(root, name), packed)
            db.execute(
                "INSERT OR REPLACE INTO reference "
                "(run, dataset, kind, encoder, list, num_keys, used) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (use.run_name, use.dataset, use.kind, use.encoder, name, count, time.time()),
            )
        return


def _num_listed(db: sqlite3.Connection, root: Path, name: str) -> int | None:
    """Keys in a list that a reference names and that is whole on the disk."""
    row = db.execute("SELECT num_keys FROM reference WHERE list = ? LIMIT 1", (name,)).fetchone()
    if row is None:
        return None
    return row[0] if is_whole(list_path(root, name), row[0] * KEY_BYTES) else None


def list_path(root: Path, name: str) -> Path:
    return root / FOLDER / f"{name}.keys"


def all_references(db: sqlite3.Connection, after: int = 0) -> list[Reference]:
    """References with an id above `after`, oldest first."""
    rows = db.execute(
        "SELECT id, run, dataset, kind, encoder, list, num_keys, used FROM reference "
        "WHERE id > ? ORDER BY id",
        (after,),
    )
    return [Reference(*row) for row in rows]


def keys_of(root: Path, reference: Reference) -> Iterator[bytes] | None:
    """The keys of a reference; None when their list is lost or cut off."""
    path = list_path(root, reference.list)
    if not is_whole(path, reference.num_keys * KEY_BYTES):
        return None

    def read() -> Iterator[bytes]:
        with path.open("rb") as file:
            while block := file.read(BLOCK * KEY_BYTES):
                for start in range(0, len(block), KEY_BYTES):
                    yield block[start : start + KEY_BYTES]

    return read()


def forget(db: sqlite3.Connection, root: Path, before: float) -> int:
    """Remove references that protect nothing and are older than `before`, and lists that no
    reference names; call it in a transaction. Returns the bytes given back."""
    for reference in all_references(db):
        if reference.used < before and not reference.protects:
            db.execute("DELETE FROM reference WHERE id = ?", (reference.id,))
    named = {name for (name,) in db.execute("SELECT DISTINCT list FROM reference")}
    freed = 0
    folder = root / FOLDER
    for entry in os.scandir(folder) if folder.is_dir() else ():
        if entry.name.removesuffix(".keys") not in named:
            freed += entry.stat().st_size
            os.unlink(entry.path)
    return freed
