"""Durable small files: atomic replacement and append-only JSON lines.

A reader never sees half a document: whole files are written beside their name and renamed, and a
line counts only once its newline is there.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def dump_line(record: Mapping[str, Any]) -> bytes:
    """One JSON line; NaN and infinity are kept as JavaScript names so they stay visible."""
    return (json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def fsync_dir(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, data: bytes | bytearray, *, durable: bool = True) -> None:
    """Replace `path` by `data` in one step; `durable` also forces it to the disk."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        if os.path.exists(name):
            os.unlink(name)
        raise
    if durable:
        fsync_dir(path.parent)


def write_json(path: Path, record: Any, *, durable: bool = True) -> None:
    text = json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomic(path, text.encode(), durable=durable)


def read_json(path: Path) -> Any | None:
    """The document, or None when it is absent or not (yet) readable."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def drop_torn_tail(path: Path) -> None:
    """Cut bytes after the last newline: a line that a crash left unfinished."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    if size == 0:
        return
    with path.open("r+b") as file:
        at = size
        while at > 0:
            start = max(0, at - 65536)
            file.seek(start)
            cut = file.read(at - start).rfind(b"\n")
            if cut >= 0:
                at = start + cut + 1
                break
            at = start
        if at != size:
            file.truncate(at)


def last_line(path: Path, window: int = 65536) -> dict[str, Any] | None:
    """The last complete record of a JSON-lines file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while True:
                start = max(0, end - window)
                file.seek(start)
                block = file.read(end - start)
                lines = block[: block.rfind(b"\n") + 1].splitlines()
                if len(lines) > 1 or (lines and start == 0):
                    return json.loads(lines[-1])
                if start == 0:
                    return None
                window *= 4
    except FileNotFoundError:
        return None


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """All complete records, in order; an unfinished last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and line.strip():
                yield json.loads(line)


class LineTail:
    """Incremental reader of a growing JSON-lines file, starting at `offset` bytes."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset

    def poll(self, limit_bytes: int = 8 << 20) -> list[dict[str, Any]]:
        """Records completed since the last call (at most `limit_bytes` of them)."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                block = file.read(limit_bytes)
        except FileNotFoundError:
            return []
        end = block.rfind(b"\n") + 1
        self.offset += end
        return [json.loads(line) for line in block[:end].splitlines() if line.strip()]
