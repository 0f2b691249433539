"""From tables to caches: encode what is missing, a part of the rows at a time.

Keys and samples of one part are in memory at once, never those of ten million rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

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


def cache_samples(task: Task, tables: Sequence[Table]) -> tuple[Store, Store, list[Table]]:
    """Stores of latents and of masks, and the tables without what could not be encoded."""
    factor = task.family.facts.spatial_factor
    stores = Stores(
        Store(task.root, "latents", task.family.identity("vae")),
        Store(task.root, "masks", f"area{factor}"),
    )
    return stores.latents, stores.masks, [_encoded(task, stores, table) for table in tables]


@dataclass(frozen=True, slots=True)
class Stores:
    latents: Store
    masks: Store

    def needs(self, item: Item) -> Iterator[tuple[Store, bytes, Item]]:
        """Every entry that training on a sample reads: where, under which key, made of what."""
        for part in (item, *item.partners):
            if part.role == "mask":
                yield self.masks, item_mask_key(part, self.masks.encoder), part
            else:
                yield self.latents, item_key(part, self.latents.encoder), part


def _encoded(task: Task, stores: Stores, table: Table) -> Table:
    """Encode what is missing; the table comes back without the rows that cannot be."""
    funnel = task.funnels[table.dataset.id]
    lost: list[int] = []
    for start in range(0, len(table), PART):
        rows = range(start, min(start + PART, len(table)))
        for row, reason in _encode_part(task, stores, table, rows):
            stage = "not finite" if reason == NOT_FINITE else "undecodable"
            funnel.lose(stage, table.relpaths[row], reason)
            lost.append(row)
    if not lost:
        return table
    rest = table.take(np.setdiff1d(np.arange(len(table)), np.array(lost, dtype=np.int64)))
    funnel.used = len(rest)
    task.judge(funnel)
    task.report(*funnel.findings("undecodable", "not finite"))
    return rest


def _encode_part(
    task: Task, stores: Stores, table: Table, rows: range
) -> Iterator[tuple[int, str]]:
    """Encode some rows; yields those that cannot be, with the reason."""
    wanted: dict[Store, dict[bytes, Item]] = {stores.latents: {}, stores.masks: {}}
    owners: dict[bytes, list[int]] = {}
    for row in rows:
        for item in table.items([row]):
            for store, key, part in stores.needs(item):
                wanted[store][key] = part
                owners.setdefault(key, []).append(row)
    failures: dict[int, str] = {}
    for store, items in wanted.items():
        missing = set(store.missing(list(items)))
        _build(task, store, {key: item for key, item in items.items() if key in missing})
        for key, reason in store.failures(list(items)).items():
            failures |= dict.fromkeys(owners[key], reason)
    yield from sorted(failures.items())


def _build(task: Task, store: Store, missing: dict[bytes, Item]) -> None:
    if not missing:
        return
    common = {
        "batch_size": task.config.cache.batch_size,
        "on_progress": task.progress(store.kind),
        "should_stop": task.should_stop,
    }
    if store.kind == "masks":
        whole = build_masks(missing, task.family.facts.spatial_factor, store, **common)
    else:
        whole = build_latents(missing, task.family, store, **common)
    if not whole:
        raise stopped()
