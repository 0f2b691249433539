"""What a job would ask the cache for of one sample (`stune cache why PATH --job FILE`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.cache.kept import Kept
from trainer.cache.keys import text_key, text_parts
from trainer.cache.latents import item_parts
from trainer.cache.origin import Origin
from trainer.cache.seen_text import seen_parts
from trainer.cache.why import Wanted, name_of
from trainer.config.schema.root import JobConfig
from trainer.data.caching import open_stores
from trainer.data.datasets import datasets
from trainer.data.scanning import scan_all
from trainer.data.table import Table
from trainer.data.task import Task
from trainer.models.base import Family


def wanted(config: JobConfig, family: Family, root: Path, path: Path) -> list[Wanted]:
    """Of every table that holds `path`, after a scan as a start of the job makes it; empty when
    none does, since the job leaves the sample out."""
    task = Task(config, family, root, lambda kind, **fields: None, lambda: False)
    stores = open_stores(task)
    kept = Kept.of(config.cache, family.facts)
    about = {
        "latents": family.describe("vae") | {"kept": kept.mode, "precision": kept.dtype},
        "references": family.describe("vae") | {"kept": "mean", "precision": kept.dtype},
        "seen_text": family.describe("text"),
        "image_embeds": family.describe("image") if stores.image_embeds else {},
    }
    text, about_text = family.identity("text"), family.describe("text")
    found: list[Wanted] = []
    for table in scan_all(task, datasets(config, family.facts)):
        for row in _rows(table, name_of(path)):
            for item in table.items([row]):
                for store, key, part in stores.needs(item):
                    place = (part.source.name, part.relpath, store.kind)
                    parts = seen_parts if store is stores.seen_text else item_parts
                    origin = Origin(*place, key, store.encoder, parts(part))
                    found.append(Wanted(origin, about.get(store.kind, {})))
            if stores.seen_text is not None:
                continue
            source, relpath = table.dataset.source.name, table.relpaths[row]
            for caption in table.captions(row):
                key = text_key(caption, text)
                origin = Origin(source, relpath, "text", key, text, text_parts(caption))
                found.append(Wanted(origin, about_text))
    return found


def _rows(table: Table, path: str) -> Iterator[int]:
    """Rows of the sample at `path`, or beside it when it is a caption file."""
    prefix = table.dataset.source.name.rstrip("/") + "/"
    if not path.startswith(prefix):
        return
    relpath = path.removeprefix(prefix)
    stem = relpath.rpartition(".")[0]
    for row in range(len(table)):
        found = table.relpaths[row]
        if found == relpath or (stem and found.rpartition(".")[0] == stem):
            yield row
