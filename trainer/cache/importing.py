"""Taking in what another machine encoded: the file that export.py writes.

Nothing of it is believed unchecked: names, sizes and layouts are compared with the bytes, and the
bytes with their checksums, before an entry is stored. Each shard is stored as a whole, so an
import that was killed goes on where it stopped. That the bytes belong to their key cannot be
checked; that is a matter of trust in whoever made the file.
"""

from __future__ import annotations

import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from gzip import BadGzipFile
from pathlib import Path
from typing import Any

from trainer.cache.database import transaction
from trainer.cache.export import FORMAT
from trainer.cache.keys import KEY_BYTES
from trainer.cache.objects import Objects
from trainer.cache.room import Room
from trainer.cache.shard import Raw, size_of
from trainer.cache.tables import open_index
from trainer.errors import DataError
from trainer.findings import Finding, finding

MEMBER = re.compile(r"([a-z][a-z0-9_]*)/([A-Za-z0-9][A-Za-z0-9_.-]*)/(\d{1,12})\.(json|st)")
MAX_BYTES = 2 << 30  # of one member


@dataclass(slots=True)
class Taken:
    """What was stored, what was there already, and what did not match its checksum."""

    entries: int = 0
    known: int = 0
    damaged: int = 0
    num_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def take_in(
    root: Path, file: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> Taken:
    """Merge an export into the cache below `root`; DataError (DAT107) when it is none."""
    taken = Taken()
    size = file.stat().st_size
    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            members = _members(tar)
            _head(root, members)
            for place, rows, blob in _shards(members):
                _store(root, place, rows, blob, taken)
                if on_progress is not None:
                    on_progress(stream.tell(), size)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, BadGzipFile) as error:
        raise DataError(_no_export(file, str(error))) from error
    except _Unfit as error:
        raise DataError(_no_export(file, str(error))) from None
    if taken.damaged:
        taken.findings.append(
            finding(
                "DAT107",
                f"{taken.damaged} entries do not match their checksum and were not taken in",
                where=str(file),
                fix="copy or export it again; the others are stored",
                level="warn",
            )
        )
    return taken


class _Unfit(Exception):
    """The file is not what it should be; the message says where."""


Members = Iterator[tuple[str, bytes]]


def _members(tar: tarfile.TarFile) -> Members:
    for member in tar:
        if not member.isfile():
            raise _Unfit(f"{member.name} is not a file")
        if member.size > MAX_BYTES:
            raise _Unfit(f"{member.name} has {member.size} bytes")
        stream = tar.extractfile(member)
        assert stream is not None
        yield member.name, stream.read()


def _json(name: str, data: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Unfit(f"{name} is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise _Unfit(f"{name} is not an object")
    return record


def _head(root: Path, members: Members) -> None:
    name, data = next(members, ("", b""))
    if name != "cache.json" or (head := _json(name, data)).get("format") != FORMAT:
        raise _Unfit(f"it does not begin with a cache.json of format {FORMAT}")
    with closing(open_index(root)) as db, transaction(db):
        for row in head.get("encoders", []):
            if len(row) == 3 and all(isinstance(text, str) for text in row):
                db.execute("INSERT OR IGNORE INTO encoder VALUES (?, ?, ?)", row)


def _shards(members: Members) -> Iterator[tuple[tuple[str, str], list[Any], bytes]]:
    """Kind and encoder, rows, and bytes of each shard."""
    total = 0
    for name, data in members:
        if name == "end.json":
            if _json(name, data).get("entries") != total:
                raise _Unfit("it does not hold as many entries as its end says")
            return
        match = MEMBER.fullmatch(name)
        if match is None or match[4] != "json":
            raise _Unfit(f"{name} is out of place")
        rows = _json(name, data).get("entries")
        if not isinstance(rows, list):
            raise _Unfit(f"{name} lists no entries")
        shard_name, blob = next(members, ("", b""))
        if shard_name != name.removesuffix("json") + "st":
            raise _Unfit(f"{name} is not followed by its shard")
        total += len(rows)
        yield (match[1], match[2]), rows, blob
    raise _Unfit("it is cut off")


def _store(root: Path, place: tuple[str, str], rows: list[Any], blob: bytes, taken: Taken) -> None:
    entries: dict[bytes, Raw] = {}
    for row in rows:
        key, raw = _entry(row, blob)
        if zlib.crc32(raw.data) == raw.crc:
            entries[key] = raw
        else:
            taken.damaged += 1
    with closing(Objects(root, *place)) as objects:
        new = set(objects.not_stored(list(entries)))
        chosen = {key: raw for key, raw in entries.items() if key in new}
        if chosen:
            size = sum(len(raw.data) for raw in chosen.values())
            Room(root).demand(size)
            objects.put_raw(chosen, {})
            taken.num_bytes += size
    taken.entries += len(chosen)
    taken.known += len(entries) - len(chosen)


def _entry(row: Any, blob: bytes) -> tuple[bytes, Raw]:
    """An entry as its row describes it."""
    try:
        text, offset, num_bytes, layout, crc = row
        key = bytes.fromhex(text)
        fits = len(key) == KEY_BYTES and 0 <= offset <= offset + num_bytes <= len(blob)
        if not fits or size_of(layout) != num_bytes:
            raise ValueError(text)
        return key, Raw(blob[offset : offset + num_bytes], layout, int(crc))
    except (TypeError, ValueError) as error:
        raise _Unfit(f"an entry is described wrongly: {str(row)[:120]}") from error


def _no_export(file: Path, why: str) -> Finding:
    return finding(
        "DAT107",
        f"{file} is not a whole export of a cache: {why}",
        where=str(file),
        why="entries before that place were taken in",
        fix="make it with stune cache export, and copy it as a whole",
    )
