"""From the entries of a dataset file to the datasets of the job."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from trainer.config.importers.ledger import Item, Ledger
from trainer.config.importers.simpletuner.datasets import captions as captions_
from trainer.config.importers.simpletuner.datasets import geometry, media, partners, share
from trainer.config.importers.simpletuner.datasets.entry import PARTNERS, SAMPLES, Entry, ledger
from trainer.config.importers.simpletuner.datasets.filters import filters
from trainer.config.importers.simpletuner.datasets.rest import settle_rest
from trainer.config.importers.simpletuner.datasets.storage import storage
from trainer.config.importers.simpletuner.datasets.table import SECRETS
from trainer.config.importers.simpletuner.environment import filled
from trainer.config.importers.simpletuner.files import DatasetFile
from trainer.config.importers.simpletuner.translation import Translation

_PLACEHOLDER = re.compile(r"\{(model_family|output_dir|id)\}")
_KINDS = {"video": "video", "audio": "audio", "caption": "caption"}


def datasets(t: Translation, file: DatasetFile | None) -> tuple[list[Ledger], list[Entry]]:
    """The settled keys of all entries, and the entries that became datasets."""
    geometry.shared_size(t)
    entries = [_opened(t, data, i, file) for i, data in enumerate(file.entries)] if file else []
    ours = [e for e in entries if e.path]
    by_cache = filters(t, entries)
    found = []
    for entry in ours:
        _identity(entry)
        storage(entry)
        if entry.is_partner:
            _partner(entry)
        else:
            found.append(
                captions_.captions(entry, by_cache.get(entry.read("text_embeds", "text"), []))
            )
            geometry.geometry(entry)
            media.media(entry)
            share.share(entry)
    by_id = {e.source.value("id"): e for e in ours if isinstance(e.source.value("id"), str)}
    for entry in ours:
        if not entry.is_partner:
            partners.partners(entry, by_id)
    partners.masks(t, ours)
    captions_.write(t, found)
    share.mixing(t, ours)
    media.shared_audio(t, {e.kind for e in ours})
    geometry.leftover_limits(t)
    for entry in entries:
        settle_rest(entry)
    t.source.mapped("data_backend_config", "data.datasets")
    return [e.source for e in entries], ours


def _opened(t: Translation, data: Any, index: int, file: DatasetFile) -> Entry:
    """An entry with its type, and its place among the datasets if it becomes one."""
    source = _filled(ledger(data, index, str(file.path), file.lines), t)
    entry = Entry(source, t, f"datasets[{index}]")
    if not isinstance(data, dict) or not data:
        for name in source.open_names():
            source.unsupported(name, "it is no dataset")
        return entry
    entry.id = entry.read("id", "text", "")
    entry.type = entry.read("type", "text", "local").strip().lower()
    entry.dataset_type = entry.read("dataset_type", "text", "image").strip().lower()
    if entry.dataset_type in (*SAMPLES, *PARTNERS):
        count = len(t.draft.get("data.datasets") or [])
        entry.path = f"data.datasets[{count}]"
        t.draft.set(f"{entry.path}.id", _id(entry, count))
        entry.kind = _KINDS.get(entry.dataset_type, "image")
    return entry


def _filled(source: Ledger, t: Translation) -> Ledger:
    """The entry with its placeholders replaced; secrets stay as they are."""
    own = str(source.value("id", ""))
    known = {"model_family": t.family, "output_dir": t.read("output_dir", "text"), "id": own}

    def fill(item: Item) -> Item:
        if not isinstance(item.value, str) or item.name in SECRETS:
            return item
        text = _PLACEHOLDER.sub(lambda m: str(known[m[1]]), item.value)
        text, note = filled(text, t.env, item.key, item.where, t.findings)
        return replace(item, value=text, note=note)

    return Ledger(fill(item) for item in source.items())


def _id(entry: Entry, count: int) -> str:
    """An id in the letters that are allowed here."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", entry.id).lstrip("-._") or f"dataset-{count}"
    path = f"{entry.path}.id"
    if name == entry.id:
        entry.source.mapped("id", path)
    else:
        entry.source.approximated("id", path, "in the letters that are allowed here")
    entry.id = name
    return name


def _identity(entry: Entry) -> None:
    entry.role = partners.role_of(entry) if entry.is_partner else share.role_of(entry)
    if entry.role != "train":
        entry.set("role", entry.role)
    if entry.kind != "image":
        entry.set("kind", entry.kind)
    where = "kind" if entry.dataset_type in _KINDS else "role"
    entry.source.mapped("dataset_type", f"{entry.path}.{where}")
    for name in ("disabled", "disable"):
        if entry.read(name, "bool", False):
            entry.put(name, "enabled", False)
        entry.source.ignored(name, "it is off, as it is here")


def _partner(entry: Entry) -> None:
    """Pictures that are cut as their samples, unless they have a size of their own."""
    if not partners.looked_at(entry):
        entry.set("enabled", False, "the family does not look at conditioning pictures here")
    if partners.has_own_size(entry):
        geometry.geometry(entry)
    else:
        names = ("resolution", "resolution_type", "crop", "crop_style", "crop_aspect")
        entry.ignore(names, "partners are cut exactly as their samples")
    note = "partners have the captions and the share of their samples"
    entry.ignore(("caption_strategy", "instance_prompt", "repeats", "probability"), note)
