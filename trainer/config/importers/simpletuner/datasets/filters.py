"""Caption filters: texts that are removed, and replacements in the manner of sed.

SimpleTuner keeps them at the entry of the caption cache, so they act on all datasets that use it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.config.importers import values
from trainer.config.importers.report import Status
from trainer.config.importers.simpletuner import lenient
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation
from trainer.errors import ConfigError

_SIGNS = "\\^$*+?[](){}|"  # of a regular expression


def filters(t: Translation, entries: list[Entry]) -> dict[Any, list[str]]:
    """Filters by the id of their cache entry; None stands for the default one."""
    caches = [e for e in entries if e.dataset_type == "text_embeds"]
    found: dict[Any, list[str]] = {}
    for cache in caches:
        found[cache.id] = _of(t, cache)
        if None not in found or cache.read("default", "bool", False):
            found[None] = found[cache.id]
    return found


def _of(t: Translation, cache: Entry) -> list[str]:
    """Filters of one cache entry: a list, or a file of one."""
    name = "caption_filter_list"
    if not cache.given(name):
        return []
    value = cache.source.value(name)
    lines = values.structure(value) if not isinstance(value, list) else value
    if lines is None and isinstance(value, str):
        lines = _file(t.places.found(value))
    if not isinstance(lines, list):
        cache.refuse(name, "it is neither a list nor a file of one")
        return []
    found = [_filter(str(line).strip()) for line in lines if str(line).strip()]
    idle = [str(line) for line, text in zip(lines, found, strict=False) if not text]
    note = f"{', '.join(idle)} has no effect there and is left out" if idle else ""
    status: Status = "approximated" if idle else "mapped"
    cache.source.settle(name, status, "data.datasets[].caption.filters", note)
    return [text for text in found if text]


def _file(path: Path) -> list[Any] | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            data, _, _ = lenient.parse(text, str(path))
            return data if isinstance(data, list) else None
    except (OSError, ValueError, ConfigError):
        return None
    return text.splitlines()


def _filter(line: str) -> str:
    """SimpleTuner replaces with two slashes (`s/a/b`); with three it does nothing at all."""
    parts = line.split("/")
    if line.startswith("s/") and len(parts) == 3:
        return f"{line}/"
    if line.startswith("s/") and len(parts) > 3:
        return ""
    if any(sign in line for sign in _SIGNS):
        return f"s/{line.replace('/', chr(92) + '/')}//"
    return line
