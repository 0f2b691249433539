"""What training on a table needs of the caches, and what of it is missing.

Keys are packed, 16 bytes each, and asked for in parts, so that ten million rows are a matter of
time and not of memory. A table that was found complete before is not asked about again.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from trainer.cache.keys import KEY_BYTES
from trainer.cache.latents import item_key
from trainer.cache.masks import item_mask_key
from trainer.cache.seen_text import seen_pieces
from trainer.cache.store import Store
from trainer.data.item import Item
from trainer.data.table import Ints, Table

PART = 1 << 16  # keys asked for at once
Target = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True, slots=True)
class Stores:
    """Where encoded samples are kept."""

    latents: Store
    masks: Store
    references: Store  # of what samples are made from: latents that are means, or pixels
    seen_text: Store | None = None  # where the text encoder sees the references
    image_embeds: Store | None = None  # where the family is told any
    embeds_of: str = "sample"  # or "reference": whose pictures are embedded

    def needs(self, item: Item) -> Iterator[tuple[Store, bytes, Item]]:
        """Every entry that training on a sample reads: where, under which key, made of what."""
        for part in (item, *item.partners):
            if part.role == "mask":
                yield self.masks, item_mask_key(part, self.masks.encoder), part
            else:
                store = self.latents if part is item else self.references
                yield store, item_key(part, store.encoder), part
        if self.seen_text is not None:
            for key, part in seen_pieces(item, self.seen_text.encoder):
                yield self.seen_text, key, part
        if self.image_embeds is not None:
            for part in self.embedded(item):
                yield self.image_embeds, item_key(part, self.image_embeds.encoder), part

    def embedded(self, item: Item) -> tuple[Item, ...]:
        """The pictures of a sample whose embeddings the denoiser is told."""
        return (item,) if self.embeds_of == "sample" else item.references

    def of(self, table: Table) -> list[Store]:
        """The stores that samples of a table lie in."""
        roles = {"mask" if p.role == "mask" else "reference" for p in table.partners}
        stores = {"mask": self.masks, "reference": self.references}
        found = [self.latents, *(store for role, store in stores.items() if role in roles)]
        return [*found, *(s for s in (self.seen_text, self.image_embeds) if s is not None)]


@dataclass(slots=True)
class Keys:
    """Keys of one table in one store, and the row that each belongs to."""

    packed: bytearray = field(default_factory=bytearray)
    rows: array[int] = field(default_factory=lambda: array("q"))

    def add(self, key: bytes, row: int) -> None:
        self.packed += key
        self.rows.append(row)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.packed), KEY_BYTES):
            yield bytes(self.packed[start : start + KEY_BYTES])

    def missing(self, store: Store) -> set[int]:
        """Rows of which something is not stored, and not known to fail."""
        found: set[int] = set()
        for start, part in self._parts():
            wanted = set(store.missing(part))
            found.update(self.rows[start + n] for n, key in enumerate(part) if key in wanted)
        return found

    def failing(self, store: Store) -> dict[int, str]:
        """Rows that cannot be encoded, with the reason."""
        found: dict[int, str] = {}
        for start, part in self._parts():
            failures = store.failures(part)
            for place, key in enumerate(part):
                if key in failures:
                    found[self.rows[start + place]] = failures[key]
        return found

    def _parts(self) -> Iterator[tuple[int, list[bytes]]]:
        for start in range(0, len(self.rows), PART):
            data = self.packed[start * KEY_BYTES : (start + PART) * KEY_BYTES]
            yield start, [bytes(data[i : i + KEY_BYTES]) for i in range(0, len(data), KEY_BYTES)]


@dataclass(slots=True)
class Survey:
    """A table, its keys by store kind (none where it is known to be complete), and the rows that
    something is missing of."""

    table: Table
    digest: bytes
    keys: dict[str, Keys] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    missing: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    lost: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return not self.keys


def digest_of(table: Table) -> bytes:
    """Of all that the keys of a table follow from, besides the encoders."""
    hasher = blake2b(table.digest, digest_size=KEY_BYTES)
    hasher.update(str(table.dataset.seed).encode())
    return hasher.digest()


def survey(table: Table, stores: Stores, run: Path | None) -> Survey:
    """Look what is missing of a table. From here on nothing of it is cleared away."""
    found = Survey(table, digest_of(table))
    if _failing(found, stores) is not None:
        for store in stores.of(table):
            keys = _keys_in(store, table, stores)
            store.reference(run, table.dataset.id, keys, found.digest)
        # asked again: a clean-up may have come before the reference
        if (rows := _failing(found, stores)) is not None:
            found.lost = _reasons(table, stores, rows)
            return found
    found.generations = {store.kind: store.generation() for store in stores.of(table)}
    found.keys = {store.kind: Keys() for store in stores.of(table)}
    for row in range(len(table)):
        for item in table.items([row]):
            for store, key, _ in stores.needs(item):
                found.keys[store.kind].add(key, row)
    missing: set[int] = set()
    for store in stores.of(table):
        keys = found.keys[store.kind]
        store.reference(run, table.dataset.id, keys, found.digest)
        missing |= keys.missing(store)
    found.missing = np.array(sorted(missing), dtype=np.int64)
    return found


def _failing(found: Survey, stores: Stores) -> set[int] | None:
    """Rows that cannot be encoded; None when the table is not known to be complete."""
    known = [store.covered(found.digest) for store in stores.of(found.table)]
    if any(rows is None for rows in known):
        return None
    return {row for rows in known for row in rows or ()}


def _keys_in(store: Store, table: Table, stores: Stores) -> Iterator[bytes]:
    """Keys of a table in one store; worked out only where they are not listed already."""
    for item in table.items():
        yield from (key for place, key, _ in stores.needs(item) if place is store)


def settle(found: Survey, stores: Stores) -> None:
    """After encoding: which rows were lost; and that the rest is complete."""
    if found.complete:
        return
    for store in stores.of(found.table):
        failing = found.keys[store.kind].failing(store)
        found.lost |= failing
        store.cover(found.digest, found.generations[store.kind], sorted(failing))


def _reasons(table: Table, stores: Stores, rows: set[int]) -> dict[int, str]:
    """Why these rows cannot be encoded."""
    found: dict[int, str] = {}
    for row in sorted(rows):
        for item in table.items([row]):
            for store, key, _ in stores.needs(item):
                for reason in store.failures([key]).values():
                    found[row] = reason
    return found


def shapes_of(found: Sequence[Survey], stores: Stores) -> dict[str, Counter[Target]]:
    """How many entries of which target size are missing, by store kind."""
    counted: dict[str, Counter[Target]] = {}
    for one in found:
        for item in one.table.items(one.missing.tolist()):
            for store, _, part in stores.needs(item):
                counted.setdefault(store.kind, Counter())[part.placement.target] += 1
    return counted
