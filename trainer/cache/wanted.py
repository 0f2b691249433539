"""What a job would ask the cache for of one sample (`stune cache why PATH --job FILE`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trainer.cache.kept import Kept
from trainer.cache.keys import text_key, text_parts
from trainer.cache.latents import item_key, item_parts
from trainer.cache.origin import Origin
from trainer.cache.why import Wanted
from trainer.config.schema.root import JobConfig
from trainer.data.dataset import Dataset
from trainer.data.datasets import datasets, index_of
from trainer.data.funnel import Funnel
from trainer.data.index import Row
from trainer.data.table import Table, make_table
from trainer.models.base import Family


def wanted(config: JobConfig, family: Family, root: Path, path: Path) -> list[Wanted]:
    """Of every dataset that holds `path`; empty when none does, or the sample is not usable."""
    kept = Kept.of(config.cache, family.facts)
    vae, text = kept.encoder(family.identity("vae")), family.identity("text")
    about = family.describe("vae") | {"kept": kept.mode, "precision": kept.dtype}
    found: list[Wanted] = []
    for dataset in datasets(config, family.facts):
        table = _sample(dataset, root, path)
        for row in range(len(table) if table else 0):
            assert table is not None
            item = table.item(row)
            place = (item.source.name, item.relpath)
            latent = Origin(*place, "latents", item_key(item, vae), vae, item_parts(item))
            found.append(Wanted(latent, about))
            for caption in item.captions:
                parts = text_parts(caption)
                origin = Origin(*place, "text", text_key(caption, text), text, parts)
                found.append(Wanted(origin, family.describe("text")))
    return found


def _sample(dataset: Dataset, root: Path, path: Path) -> Table | None:
    """The rows of the sample at `path`, or beside it when it is a caption file."""
    prefix = dataset.source.name.rstrip("/") + "/"
    text = str(path) if "://" in str(path) else str(path.absolute())
    if not text.startswith(prefix):
        return None
    relpath = text.removeprefix(prefix)
    index = index_of(root, dataset.source, dataset.kind)
    index.scan(lambda done: None)
    index.hash_contents(1, lambda done: None)
    rows = list(_named(index.rows(), relpath))
    return make_table(dataset, rows, Funnel(dataset.id, dataset.source.name))


def _named(rows: Iterable[Row], relpath: str) -> Iterator[Row]:
    stem = relpath.rpartition(".")[0]
    for row in rows:
        if row.relpath == relpath or (stem and row.relpath.rpartition(".")[0] == stem):
            yield row
