"""Captions: where they come from, and how they are varied.

Every dataset's settings are put together from its own and the run's. When all datasets agree they
are written once, as the shared ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainer.config.importers import values
from trainer.config.importers.draft import refused
from trainer.config.importers.ledger import Ledger
from trainer.config.importers.report import Status
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation

SOURCES = {
    "textfile": "textfile",
    "filename": "filename",
    "instanceprompt": "instanceprompt",
    "instance_prompt": "instanceprompt",
    "parquet": "table",
    "csv": "table",
    "huggingface": "table",
    "webshart": "json",
}
_TABLE_COLUMNS = {
    "csv": ("csv_caption_column", ""),
    "huggingface": ("huggingface.caption_column", "huggingface.fallback_caption_column"),
    "parquet": ("parquet.caption_column", "parquet.fallback_caption_column"),
}
_OWN = (
    *("caption_strategy", "instance_prompt", "prepend_instance_prompt", "only_instance_prompt"),
    *("disable_multiline_split", "caption_shuffle"),
)


@dataclass(slots=True)
class Captions:
    """The caption table of a dataset, and which keys of the source it comes from."""

    entry: Entry
    table: dict[str, Any] = field(default_factory=dict)
    claims: list[tuple[Ledger, str, str, Status, str]] = field(default_factory=list)

    def put(self, key: str, value: Any, *names: str, note: str = "") -> None:
        """Enter a value and remember the names it comes from, of the entry or else of the run."""
        reason = refused(f"data.defaults.caption.{key}", value)
        if reason:
            for name in names:
                if self.entry.given(name):
                    self.entry.refuse(name, reason)
            return
        self.table[key] = value
        status: Status = "approximated" if note else "mapped"
        for name in names:
            source = self.entry.source if self.entry.given(name) else self.entry.run.source
            self.claims.append((source, name, key, status, note))


def captions(entry: Entry, filters: list[str]) -> Captions:
    """What a dataset of samples says about its captions."""
    found = Captions(entry)
    strategy = entry.caption_strategy
    only = _flag(entry, "only_instance_prompt")
    source = "instanceprompt" if only else SOURCES.get(strategy)
    if source is None:
        entry.refuse("caption_strategy", f"it is none of {', '.join(SOURCES)}")
        source = "filename"
    note = "captions are read from the .json beside each sample" if strategy == "webshart" else ""
    found.put("source", source, "caption_strategy", note=note)
    if only:
        found.claims.append(_claim(entry, "only_instance_prompt", "source"))
    _prompt(found, source)
    if source == "table":
        _columns(found, strategy)
    if source == "textfile" and _flag(entry, "disable_multiline_split"):
        found.put("split_lines", False, "disable_multiline_split")
    if filters:
        found.put("filters", filters)
    _shuffle(found)
    return found


def _flag(entry: Entry, name: str) -> bool:
    own = entry.read(name, "bool")
    return bool(entry.run.read(name, "bool") if own is None else own)


def _claim(entry: Entry, name: str, key: str) -> tuple[Ledger, str, str, Status, str]:
    source = entry.source if entry.given(name) else entry.run.source
    return source, name, key, "mapped", ""


def _prompt(found: Captions, source: str) -> None:
    """The prompt, where it is used: as the caption, or in front of it."""
    entry = found.entry
    own = entry.source.value("instance_prompt") if entry.given("instance_prompt") else None
    prompt = own if own is not None else entry.run.source.value("instance_prompt")
    prepend = _flag(entry, "prepend_instance_prompt") and source != "instanceprompt"
    if not prompt or not (prepend or source == "instanceprompt"):
        return
    texts = prompt if isinstance(prompt, list) else values.text(prompt)
    found.put("prompt", texts, "instance_prompt")
    if prepend and "prompt" in found.table:
        found.put("prepend", True, "prepend_instance_prompt")


def _columns(found: Captions, strategy: str) -> None:
    entry = found.entry
    first, second = _TABLE_COLUMNS.get(strategy, ("", ""))
    if entry.given(first):
        column = entry.source.value(first)
        found.put("column", column if isinstance(column, list) else values.text(column), first)
    elif strategy == "parquet":
        shared = entry.run.read("parquet_caption_column", "text")
        found.put("column", shared or "description", "parquet_caption_column")
    elif strategy in ("huggingface", "csv"):
        found.put("column", "caption")
    if second and entry.given(second):
        found.put("fallback_column", entry.read(second, "text"), second)


def _shuffle(found: Captions) -> None:
    entry = found.entry
    if not entry.read("caption_shuffle.enable", "bool", False):
        return
    keys = {
        "count": ("variants", "int"),
        "split_on": ("separator", "text"),
        "position_start": ("keep", "int"),
        "include_original": ("include_original", "bool"),
    }
    table: dict[str, Any] = {}
    for name, (key, kind) in keys.items():
        full = f"caption_shuffle.{name}"
        value = entry.read(full, kind)  # type: ignore[arg-type]
        if value is None:
            continue
        reason = refused(f"data.defaults.caption.shuffle.{key}", value)
        if reason:
            entry.refuse(full, reason)
            continue
        table[key] = value
        found.claims.append((entry.source, full, f"shuffle.{key}", "mapped", ""))
    found.table["shuffle"] = table or {"variants": 1}
    found.claims.append(_claim(entry, "caption_shuffle.enable", "shuffle"))


def write(t: Translation, all_captions: list[Captions]) -> None:
    """Enter all tables: shared when they are the same, else each at its dataset."""
    tables = [c.table for c in all_captions]
    shared = bool(tables) and all(table == tables[0] for table in tables)
    for found in all_captions:
        path = "data.defaults.caption" if shared else f"{found.entry.path}.caption"
        _enter(t, path, found.table)
        for source, name, key, status, note in found.claims:
            source.settle(name, status, f"{path}.{key}", note)
            if note:
                t.draft.comments.setdefault(f"{path}.{key}", note)
        _settle_rest(found.entry)
    dropout = t.read("caption_dropout_probability", "float")
    if tables:
        t.put("caption_dropout_probability", "data.defaults.caption.dropout", float(dropout))
    for name in (*_OWN[:-1], "caption_dropout_probability"):
        t.source.ignored(name, "no dataset makes use of it")
    t.ignore(["parquet_caption_column", "parquet_filename_column"], "no dataset reads a table")


def _enter(t: Translation, path: str, table: dict[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _enter(t, f"{path}.{key}", value)
        else:
            t.draft.set(f"{path}.{key}", value)


def _settle_rest(entry: Entry) -> None:
    entry.ignore(("caption_shuffle.seed",), "job.seed decides all that is random")
    entry.ignore(("caption_shuffle",), "it is off, as it is here")
    entry.ignore(_OWN, "it has no effect with the other settings")
    for first, second in _TABLE_COLUMNS.values():
        entry.ignore((first, second), "captions are not read from a table")
