"""From tables to caches: look what is missing, see that there is room for it, encode it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from trainer.cache.build import Progress
from trainer.cache.estimate import (
    ENTRY_BYTES,
    Need,
    average_need,
    demand,
    latent_need,
    picture_shape,
)
from trainer.cache.image_embeds import build_image_embeds
from trainer.cache.kept import Kept
from trainer.cache.keys import text_key
from trainer.cache.latents import NOT_FINITE, build_latents
from trainer.cache.masks import build_masks, mask_encoder
from trainer.cache.pixels import ENCODER as RGB
from trainer.cache.pixels import KIND as PIXELS
from trainer.cache.pixels import build_pixels
from trainer.cache.room import Room
from trainer.cache.seen_text import build_seen
from trainer.cache.store import Store
from trainer.cache.text import build_text
from trainer.config.schema.root import JobConfig
from trainer.data.item import Item
from trainer.data.needs import PART, Stores, Survey, Target, digest_of, settle, shapes_of, survey
from trainer.data.table import Table
from trainer.data.task import Task, stopped
from trainer.models.base import Family

# --- texts -------------------------------------------------------------------------------------


def validation_texts(config: JobConfig, family: Family) -> list[tuple[str, bool]]:
    """Texts that validation needs embeddings of, apart from any picture, the negative one last;
    and whether the family encodes them apart."""
    texts, negative = config.validation.texts, config.validation.negative
    if not texts:
        return []
    return [*((t, False) for t in sorted(set(texts))), (negative, family.encodes_apart(negative))]


def cache_text(task: Task, tables: Sequence[Table]) -> Store:
    """The store of all captions of the tables, but of those that belong to pictures."""
    store = Store(task.root, "text", task.family.identity("text"))
    if task.family.sees_pictures:
        return store
    for table in tables:
        store.reference(task.run, table.dataset.id, _text_keys(table, store), digest_of(table))
    asked = [("", False), *validation_texts(task.config, task.family)]
    others = [text_key(text, store.encoder, negative=apart) for text, apart in asked]
    store.reference(task.run, "validation", others)
    # from here on nothing of it is cleared away, so what is found complete stays so
    generation = store.generation()
    todo = [table for table in tables if store.covered(digest_of(table)) is None]
    captions = {c for table in todo for row in range(len(table)) for c in table.captions(row)}
    captions.update(text for text, apart in asked[1:] if not apart)
    if any(table.dataset.caption.dropout for table in tables):
        captions.add("")

    def places(missing: Collection[str]) -> Iterator[tuple[str, str, str]]:
        for table in todo:
            for row in range(len(table)):
                for caption in table.captions(row):
                    if caption in missing:
                        yield caption, table.dataset.source.name, table.relpaths[row]

    whole = build_text(
        captions,
        task.family,
        store,
        batch_size=task.config.cache.batch_size,
        on_progress=task.progress("text"),
        should_stop=task.should_stop,
        room=Room.of(task.root, task.config.cache.max_gb),
        places=places,
        negatives=[text for text, apart in asked if apart],
    )
    if not whole:
        raise stopped()
    for table in todo:
        store.cover(digest_of(table), generation)
    return store


def _text_keys(table: Table, store: Store) -> Iterator[bytes]:
    for row in range(len(table)):
        for caption in table.captions(row):
            yield text_key(caption, store.encoder)


# --- samples -----------------------------------------------------------------------------------


def cache_samples(task: Task, tables: Sequence[Table]) -> tuple[Stores, list[Table]]:
    """The stores, and the tables without the rows that cannot be encoded."""
    kept = Kept.of(task.config.cache, task.family.facts)
    stores = open_stores(task)
    found = [survey(table, stores, task.run) for table in tables]
    shapes = shapes_of(found, stores)
    demand(Room.of(task.root, task.config.cache.max_gb), _needs(task, shapes, kept))
    done: Counter[str] = Counter()
    for part in _parts(found):
        for store, todo in _missing(stores, part).items():
            total = max(shapes[store.kind].total(), done[store.kind] + len(todo))
            progress = _after(task.progress(store.kind), done[store.kind], total)
            _build(task, store, todo, kept, progress)
            done[store.kind] += len(todo)
    for one in found:
        settle(one, stores)
    return stores, [_without(task, one) for one in found]


def references(kept: Kept) -> Kept:
    """How latents of references are kept: as the pipelines encode them, by their mean."""
    return Kept("mean", kept.dtype, "reference")


def open_stores(task: Task) -> Stores:
    """Where the samples of a job are kept."""
    family = task.family
    kept = Kept.of(task.config.cache, family.facts)
    encoder = family.facts.image_encoder if family.image_embeds_share else None
    return Stores(
        Store(task.root, "latents", kept.encoder(family.identity("vae"))),
        Store(task.root, "masks", mask_encoder(family.spatial_factor)),
        _references(task, kept),
        Store(task.root, "seen_text", family.identity("text")) if family.sees_pictures else None,
        Store(task.root, "image_embeds", family.identity("image")) if encoder else None,
        encoder.of if encoder else "sample",
    )


def _references(task: Task, kept: Kept) -> Store:
    """Where what samples are made from is kept: latents, or the pictures as they are."""
    if task.family.reference_form == "pixels":
        return Store(task.root, PIXELS, RGB)
    encoder = references(kept).encoder(task.family.identity("vae"))
    return Store(task.root, "references", encoder)


def _needs(task: Task, shapes: Mapping[str, Counter[Target]], kept: Kept) -> Iterator[Need]:
    """Bytes of what is missing."""
    channels, factor = task.family.latent_channels, task.family.spatial_factor
    for kind, form in (("latents", kept), ("references", references(kept))):
        for target, count in shapes.get(kind, {}).items():
            shape = repeat(picture_shape(target, channels, factor), count)
            yield latent_need(shape, mode=form.mode, dtype=form.dtype, kind=kind)
    for (width, height), count in shapes.get("masks", {}).items():
        each = width * height // factor**2 + ENTRY_BYTES
        yield Need("masks", count, count * each)
    for (width, height), count in shapes.get(PIXELS, {}).items():
        yield Need(PIXELS, count, count * (3 * width * height + ENTRY_BYTES))
    if embeds := shapes.get("image_embeds"):
        encoder = task.family.identity("image")
        yield average_need(task.root, "image_embeds", encoder, embeds.total(), 4 << 10)
    if texts := shapes.get("seen_text"):
        encoder = task.family.identity("text")
        yield average_need(task.root, "seen_text", encoder, texts.total(), 4 << 20)


Part = list[tuple[Table, list[int]]]  # rows of tables


def _parts(found: Sequence[Survey]) -> Iterator[Part]:
    """The rows that something is missing of, in parts that may span several tables."""
    part: Part = []
    size = 0
    for one in found:
        rows = one.missing.tolist()
        while rows:
            taken, rows = rows[: PART - size], rows[PART - size :]
            part.append((one.table, taken))
            size += len(taken)
            if size == PART:
                yield part
                part, size = [], 0
    if part:
        yield part


def _missing(stores: Stores, part: Part) -> dict[Store, dict[bytes, Item]]:
    """What of a part is to be encoded."""
    wanted: dict[Store, dict[bytes, Item]] = {}
    for table, rows in part:
        for item in table.items(rows):
            for store, key, piece in stores.needs(item):
                wanted.setdefault(store, {})[key] = piece
    todo = {}
    for store, items in wanted.items():
        missing = store.missing(list(items))
        if missing:
            todo[store] = {key: items[key] for key in missing}
    return todo


def _after(report: Progress, before: int, total: int) -> Progress:
    """Progress within a part, told as that of the whole."""
    return lambda done, _: report(before + done, total)


def _build(
    task: Task, store: Store, todo: dict[bytes, Item], kept: Kept, progress: Progress
) -> None:
    common: dict[str, Any] = {
        "batch_size": task.config.cache.batch_size,
        "on_progress": progress,
        "should_stop": task.should_stop,
        "room": Room.of(task.root, task.config.cache.max_gb),
    }
    if store.kind == "masks":
        whole = build_masks(todo, task.family, store, **common)
    elif store.kind == PIXELS:
        whole = build_pixels(todo, task.family, store, **common)
    elif store.kind == "seen_text":
        whole = build_seen(todo, task.family, store, **common)
    elif store.kind == "image_embeds":
        whole = build_image_embeds(todo, task.family, store, **common)
    else:
        form = references(kept) if store.kind == "references" else kept
        whole = build_latents(todo, task.family, store, kept=form, **common)
    if not whole:
        raise stopped()


def _without(task: Task, found: Survey) -> Table:
    """The table without the rows that cannot be encoded; the losses are told."""
    table, lost = found.table, found.lost
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
