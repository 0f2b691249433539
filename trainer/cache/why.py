"""Why was a sample encoded, or is going to be? Which part of its key changed.

Each entry of the sample is compared with the nearest one made before it. What is to come is
compared too: the bytes of the file as they are now, and with a job file everything the job would
ask for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from trainer.cache.keys import KEY_BYTES
from trainer.cache.origin import Origin, of_sample
from trainer.cache.stat import describe
from trainer.cache.tables import open_index
from trainer.errors import DataError
from trainer.findings import finding

FOLLOWS = {"scaling": "resolution", "crop": "resolution"}  # changes only because the other did
FIRST = "encoded for the first time"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job asks for: the parts of a key, and what the encoder is made of."""

    origin: Origin
    encoder: Mapping[str, str]


def why(root: Path, path: Path, wanted: Sequence[Wanted] = ()) -> list[dict[str, Any]]:
    """Entries of the sample at `path`, oldest first, then what the next start would encode.

    Each has `kind`, `state` (stored, failed, cleared, to be encoded), `changed` (parts of the
    key that differ from the nearest earlier entry; None for the first), `reason`, `parts`.
    DataError (DAT109) when nothing is known of it.
    """
    known = of_sample(root, name_of(path))
    if not known and not wanted:
        raise DataError(
            finding(
                "DAT109",
                f"the cache knows nothing of {path}",
                where=str(root),
                why="it was not encoded, or by a version that did not note where entries came from",
                fix="name the picture as its dataset does (folder of the dataset, then its path); "
                "with --job FILE it is compared with what that job would encode",
            )
        )
    with closing(open_index(root)) as db:
        seen: list[tuple[Origin, dict[str, str]]] = []
        rows = []
        for origin in known:
            parts = dict(origin.parts) | _encoder(describe(db, origin.kind, origin.encoder), origin)
            earlier = [p for o, p in seen if o.kind == origin.kind and o.made < origin.made]
            rows.append(_row(origin, parts, earlier, _state(db, origin)))
            seen.append((origin, parts))
        for new in wanted:
            state = _state(db, new.origin)
            if state == "stored":
                continue
            parts = dict(new.origin.parts) | _encoder(new.encoder, new.origin)
            earlier = [p for o, p in seen if o.kind == new.origin.kind]
            row = _row(new.origin, parts, earlier, "to be encoded" if state == "cleared" else state)
            rows.append(row | {"made": None})
    if not wanted:
        rows += _changed_file(path, seen)
    return rows


def name_of(path: Path) -> str:
    """The path as the sources name it: absolute, or as given when it is a URL."""
    text = str(path)
    return text if "://" in text or text.startswith("/") else str(path.absolute())


def _encoder(parts: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """Parts of an encoder, named as such; its digest alone where nobody described it."""
    if not parts:
        return {"encoder": origin.encoder}
    return {f"encoder {name}": value for name, value in parts.items()}


def _state(db: sqlite3.Connection, origin: Origin) -> str:
    if db.execute("SELECT 1 FROM blob WHERE key = ?", (origin.key,)).fetchone():
        return "stored"
    failed = db.execute("SELECT reason FROM failed WHERE key = ?", (origin.key,)).fetchone()
    return f"failed: {failed[0]}" if failed else "cleared"


def _row(
    origin: Origin, parts: dict[str, str], earlier: list[dict[str, str]], state: str
) -> dict[str, Any]:
    changed = min((difference(old, parts) for old in reversed(earlier)), key=len, default=None)
    if changed is None:
        reason = FIRST
    elif not changed:
        reason = "the earlier entry was cleared away or damaged"
    else:
        reason = f"another {', '.join(changed)}"
    return {
        "kind": origin.kind,
        "source": origin.source,
        "relpath": origin.relpath,
        "key": origin.key.hex(),
        "encoder": origin.encoder,
        "made": origin.made,
        "state": state,
        "changed": changed,
        "reason": reason,
        "parts": parts,
    }


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ, without those that only follow from another."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [name for name in names if FOLLOWS.get(name) not in names]


def _changed_file(path: Path, seen: list[tuple[Origin, dict[str, str]]]) -> list[dict[str, Any]]:
    """A row for a file whose bytes are not those that were encoded last."""
    last = next((p for o, p in reversed(seen) if "content" in p), None)
    origin = next((o for o, p in reversed(seen) if "content" in p), None)
    if last is None or origin is None or not path.is_file():
        return []
    if path.name != Path(origin.relpath).name:  # the caption file beside it was named
        return []
    hasher = blake2b(digest_size=KEY_BYTES)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    now = last | {"content": hasher.hexdigest()}
    if now == last:
        return []
    row = _row(origin, now, [last], "to be encoded")
    return [row | {"made": None, "key": None}]
