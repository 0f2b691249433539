"""Append-only store of named tensors in safetensors shards, read by exact byte ranges.

A shard is a complete safetensors file, written beside its name, synced and renamed; only then are
its entries committed to the SQLite index. A crash leaves at worst a shard that nothing refers to.
Several processes may share a store: shards have unique names and one process builds at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import struct
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from trainer.faults import point
from trainer.runs.files import write_atomic

SCHEMA = "CREATE TABLE IF NOT EXISTS blob (key TEXT PRIMARY KEY, shard TEXT, parts TEXT)"
DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

Entry = dict[str, Tensor]
Part = tuple[str, str, list[int], int, int]  # name, dtype, shape, offset in file, bytes


class Store:
    """Entries of one encoder: key -> named tensors."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(root / "index.db", timeout=60, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(SCHEMA)
        self._lock = threading.Lock()
        self._index: dict[str, tuple[str, list[Part]]] = {}
        self._files: dict[str, int] = {}

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are not stored."""
        return {key for key in keys if self._find(key) is None}

    def get(self, key: str) -> Entry:
        """The entry of a key; KeyError when it is not stored or its bytes are gone."""
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        shard, parts = found
        return {name: self._read(shard, part) for name, *part in parts}

    def _find(self, key: str) -> tuple[str, list[Part]] | None:
        if key not in self._index:
            with self._lock:
                row = self._db.execute(
                    "SELECT shard, parts FROM blob WHERE key = ?", (key,)
                ).fetchone()
            if row is None or not (self.root / row[0]).exists():
                return None
            self._index[key] = (row[0], [tuple(p) for p in json.loads(row[1])])
        return self._index[key]

    def _read(self, shard: str, part: list) -> Tensor:
        dtype, shape, offset, size = part
        if shard not in self._files:
            self._files[shard] = os.open(self.root / shard, os.O_RDONLY)
        data = bytearray(os.pread(self._files[shard], size, offset))
        if len(data) != size:
            raise KeyError(f"{shard} is shorter than its index says")
        if not data:
            return torch.empty(shape, dtype=DTYPES[dtype])
        return torch.frombuffer(data, dtype=DTYPES[dtype]).view(shape)

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Store entries in one new shard."""
        if not entries:
            return
        flat = {f"{key}/{name}": t for key, e in entries.items() for name, t in e.items()}
        blob = save({k: t.detach().cpu().contiguous() for k, t in flat.items()})
        shard = f"{uuid.uuid4().hex}.st"
        write_atomic(self.root / shard, blob)
        point("cache.after_shard")
        rows = _rows(blob, shard)
        with self._lock, self._db:
            self._db.executemany("REPLACE INTO blob VALUES (?, ?, ?)", rows)
        point("cache.after_index")

    @contextmanager
    def building(self) -> Iterator[None]:
        """Hold the store while encoding, so that no two processes encode the same key."""
        fd = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def close(self) -> None:
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()
        self._db.close()


def _rows(blob: bytes, shard: str) -> list[tuple[str, str, str]]:
    """Index rows of a shard, from its own safetensors header."""
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    parts: dict[str, list[Part]] = {}
    for name, info in header.items():
        if name == "__metadata__":
            continue
        key, _, tensor = name.partition("/")
        start, end = info["data_offsets"]
        part = (tensor, info["dtype"], info["shape"], 8 + length + start, end - start)
        parts.setdefault(key, []).append(part)
    return [(key, shard, json.dumps(value)) for key, value in parts.items()]
