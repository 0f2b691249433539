"""From tables to caches: encode what is missing, a part of the rows at a time.

Keys and samples of one part are in memory at once, never those of ten million rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.cache.build import Progress
from trainer.cache.latents import NOT_FINITE, build_latents, item_key
from trainer.cache.masks import build_masks, item_mask_key
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.config.schema.root import JobConfig
from trainer.data.item import Item
from trainer.data.table import Table
from trainer.data.task import Task, stopped

PART = 1 << 16  # rows


def validation_texts(config: JobConfig) -> list[str]:
    """Texts that validation needs embeddings of."""
    if not config.validation.enabled or not config.validation.prompts:
        return []
    return sorted({*config.validation.prompts, config.validation.negative})


def cache_text(task: Task, tables: Sequence[Table]) -> Store:
    captions = {c for table in tables for row in range(len(table)) for c in table.captions(row)}
    captions.update(validation_texts(task.config))
    if any(table.dataset.caption.dropout for table in tables):
        captions.add("")
    store = Store(task.root, "text", task.family.identity("text"))
    whole = build_text(
        captions,
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("text"),
        should_stop=task.should_stop,
    )
    if not whole:
        raise stopped()
    return store


@dataclass(frozen=True, slots=True)
class Stores:
    """Where encoded samples are kept."""

    latents: Store
    masks: Store

    def needs(self, item: Item) -> Iterator[tuple[Store, bytes, Item]]:
        """Every entry that training on a sample reads: where, under which key, made of what."""
        for part in (item, *item.partners):
            if part.role == "mask":
                yield self.masks, item_mask_key(part, self.masks.encoder), part
            else:
                yield self.latents, item_key(part, self.latents.encoder), part


def cache_samples(task: Task, tables: Sequence[Table]) -> tuple[Stores, list[Table]]:
    """The stores, and the tables without the rows that cannot be encoded."""
    stores = Stores(
        Store(task.root, "latents", task.family.identity("vae")),
        Store(task.root, "masks", f"area{task.family.facts.spatial_factor}"),
    )
    lost: list[dict[int, str]] = [{} for _ in tables]
    done, total = 0, sum(map(len, tables))
    for part in _parts(tables):
        for table, row, reason in _encode_part(task, stores, tables, part, done, total):
            lost[table][row] = reason
        done += sum(len(rows) for _, rows in part)
    return stores, [_without(task, t, rows) for t, rows in zip(tables, lost, strict=True)]


Part = list[tuple[int, range]]  # rows of tables, by number


def _parts(tables: Sequence[Table]) -> Iterator[Part]:
    """All rows in order, cut into parts of `PART` rows that may span several tables."""
    part, size = [], 0
    for number, table in enumerate(tables):
        start = 0
        while start < len(table):
            end = min(len(table), start + PART - size)
            part.append((number, range(start, end)))
            size += end - start
            start = end
            if size == PART:
                yield part
                part, size = [], 0
    if part:
        yield part


def _encode_part(
    task: Task, stores: Stores, tables: Sequence[Table], part: Part, done: int, total: int
) -> Iterator[tuple[int, int, str]]:
    """Encode what is missing of a part; yields table and row of what cannot be, and why."""
    wanted: dict[Store, dict[bytes, Item]] = {stores.latents: {}, stores.masks: {}}
    owners: dict[bytes, list[tuple[int, int]]] = {}
    for number, rows in part:
        for row in rows:
            for item in tables[number].items([row]):
                for store, key, piece in stores.needs(item):
                    wanted[store][key] = piece
                    owners.setdefault(key, []).append((number, row))
    for store, items in wanted.items():
        missing = set(store.missing(list(items)))
        if missing:
            todo = {key: item for key, item in items.items() if key in missing}
            progress = _after(task.progress(store.kind), done + len(items) - len(todo), total)
            _build(task, store, todo, progress)
        for key, reason in store.failures(list(items)).items():
            yield from ((number, row, reason) for number, row in owners[key])


def _after(report: Progress, before: int, total: int) -> Progress:
    """Progress within a part, told as that of the whole."""
    return lambda done, of: report(before + done, max(total, before + of))


def _build(task: Task, store: Store, missing: dict[bytes, Item], progress: Progress) -> None:
    common: dict[str, Any] = {
        "batch_size": task.config.cache.batch_size,
        "on_progress": progress,
        "should_stop": task.should_stop,
    }
    if store.kind == "masks":
        whole = build_masks(missing, task.family.facts.spatial_factor, store, **common)
    else:
        whole = build_latents(missing, task.family, store, **common)
    if not whole:
        raise stopped()


def _without(task: Task, table: Table, lost: dict[int, str]) -> Table:
    """The table without the rows that cannot be encoded; the losses are told."""
    if not lost:
        return table
    funnel = task.funnels[table.dataset.id]
    for row, reason in sorted(lost.items()):
        stage = "not finite" if reason == NOT_FINITE else "undecodable"
        funnel.lose(stage, table.relpaths[row], reason)
    rows = np.array(sorted(lost), dtype=np.int64)
    rest = table.take(np.setdiff1d(np.arange(len(table)), rows))
    funnel.used = len(rest)
    task.judge(funnel)
    task.report(*funnel.findings("undecodable", "not finite"))
    return rest
