"""Bytes that the cache is going to take, from counts and shapes, before anything is encoded.

Latents are known exactly. A text's length and the size of an embedding are known only once one
is encoded; what the encoder already stored tells the average, else a usual one does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from trainer.cache.room import GB, Room
from trainer.cache.tables import open_index

Mode = Literal["sample", "mean", "distribution"]
Shape = tuple[int, ...]
ITEM_BYTES = {"fp32": 4, "bf16": 2}
ENTRY_BYTES = 400  # header of the shard, row of the index, origin


@dataclass(frozen=True, slots=True)
class Need:
    """Entries of one kind that are missing, and their bytes."""

    kind: str
    entries: int
    num_bytes: int

    def __str__(self) -> str:
        return f"{self.kind} {self.num_bytes / GB:.2f} GB"


def latent_need(
    shapes: Iterable[Shape], *, mode: Mode = "sample", dtype: str = "fp32", kind: str = "latents"
) -> Need:
    """Of missing latents, one shape [C, h, w] (or [C, t, h, w]) each."""
    each = ITEM_BYTES[dtype] * (2 if mode == "distribution" else 1)
    entries = num_bytes = 0
    for shape in shapes:
        entries += 1
        num_bytes += prod(shape) * each + ENTRY_BYTES
    return Need(kind, entries, num_bytes)


def picture_shape(target: tuple[int, int], channels: int, factor: int) -> Shape:
    """Shape of the latent of a picture of `target` width and height, of an autoencoder with so
    many latent channels and pixels along one side of a latent pixel."""
    width, height = target
    return channels, height // factor, width // factor


def text_need(root: Path, encoder: str, count: int, example: Mapping[str, Shape]) -> Need:
    """Of `count` missing captions; `example` holds the shapes of a short text
    (`Family.probe_text`), used while the encoder has stored nothing."""
    with closing(open_index(root)) as db:
        each = average(db, "text", encoder)
    if each is None:
        each = 4.0 * sum(prod(shape) for shape in example.values())
    return Need("text", count, int(count * (each + ENTRY_BYTES)))


def average_need(root: Path, kind: str, encoder: str, count: int, usual: int) -> Need:
    """Of `count` missing entries of one kind, taken to be like those that are there; `usual`
    bytes each while there are none."""
    with closing(open_index(root)) as db:
        each = average(db, kind, encoder) or usual
    return Need(kind, count, int(count * (each + ENTRY_BYTES)))


def average(db: sqlite3.Connection, kind: str, encoder: str) -> float | None:
    """Mean bytes of some entries of a store; None when there are none."""
    row = db.execute(
        "SELECT avg(num_bytes) FROM (SELECT b.num_bytes FROM shard s JOIN blob b ON b.shard = s.id "
        "WHERE s.kind = ? AND s.encoder = ? LIMIT 10000)",
        (kind, encoder),
    ).fetchone()
    return row[0]


def demand(room: Room, needs: Iterable[Need]) -> None:
    """Refuse before the first encode what disk or quota cannot hold; TrainerError DAT102, DAT104.

    All needs of a start belong into one call: each alone may fit where all do not.
    """
    wanted = [need for need in needs if need.entries]
    if wanted:
        room.demand(sum(need.num_bytes for need in wanted), ", ".join(map(str, wanted)))
