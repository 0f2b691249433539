"""A few samples of every bucket, without reading the others: what a rehearsal takes of a dataset.

Which bucket a sample falls into follows from its header, so only the samples that are taken are
read as a whole. Draws that follow the content (random shapes) are guessed until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from trainer.cache.keys import KEY_BYTES
from trainer.data.buckets import buckets
from trainer.data.dataset import Dataset
from trainer.data.funnel import Funnel
from trainer.data.index import Index, Row, Tick
from trainer.data.overlay import apply_overlay
from trainer.data.selection import make_table
from trainer.data.table import Table


def few_of(index: Index, dataset: Dataset, count: int, tick: Tick) -> tuple[Table, Funnel]:
    """A table of at most `count` samples a bucket; the funnel has looked at all samples."""
    funnel = Funnel(dataset.id, dataset.source.name)
    everything = make_table(dataset, map(_guessed, _rows(index, dataset, funnel)), funnel)
    taken = {
        everything.relpaths[int(row)]
        for rows in buckets(everything).values()
        for row in rows[np.argsort(everything.ids[rows])[:count]]
    }
    read_contents(index, dataset, tick, taken)
    second = Funnel(dataset.id, dataset.source.name)
    wanted = (row for row in _rows(index, dataset, second) if row.relpath in taken)
    table = make_table(dataset, wanted, second)
    for path, reason in second.lost["unreadable"].examples if "unreadable" in second.lost else ():
        funnel.lose("unreadable", path, reason)
    return replace(table, dataset=everything.dataset), funnel


def read_contents(index: Index, dataset: Dataset, tick: Tick, only: set[str] | None = None) -> None:
    """What the index needs of whole files: their digests, and faces where those place the crop."""
    index.hash_contents(dataset.geometry.min_size, tick, only)
    if dataset.geometry.position == "face":
        index.find_faces(dataset.background, tick)


def _rows(index: Index, dataset: Dataset, funnel: Funnel) -> Iterator[Row]:
    return apply_overlay(dataset.overlay, index.rows(), lose=funnel.exclude, met=set())


def _guessed(row: Row) -> Row:
    """A sample that was not read gets a content made of its name."""
    if row.content is not None or row.reason is not None:
        return row
    name = row.relpath.encode("utf-8", "surrogateescape")
    return row._replace(content=blake2b(name, digest_size=KEY_BYTES).digest())
