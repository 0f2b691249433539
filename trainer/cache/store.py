"""The store: entries (named tensors) under content keys, over the bytes of objects.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from trainer.cache.objects import Objects
from trainer.cache.tensors import Entry, to_raw, unpack


class Store(Objects):
    """Entries of one kind and one encoder."""

    def __init__(self, root: Path, kind: str, encoder: str) -> None:
        super().__init__(root, kind, encoder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.forget_broken_shards()

    def get(self, key: bytes) -> dict[str, Tensor]:
        """The entry of a key, checked; DataError when it is gone or damaged."""
        raw = self.read(key)
        assert isinstance(raw.data, bytearray)
        return unpack(raw.data, raw.layout)

    def put(self, entries: Mapping[bytes, Entry], failed: Mapping[bytes, str]) -> None:
        """Store entries in one new shard, note failures, end the leases; all or nothing."""
        self.put_raw({key: to_raw(entry) for key, entry in entries.items()}, failed)
