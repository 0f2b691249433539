"""Apply the mechanical patches of findings to a TOML text, keeping comments and order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tomlkit
from tomlkit.exceptions import NonExistentKey

from trainer.findings import Finding


def fix_text(text: str, findings: Iterable[Finding]) -> tuple[str, list[Finding]]:
    """The mended text and the findings that were applied."""
    document = tomlkit.parse(text)
    applied = []
    for item in findings:
        if item.patch:
            for path, value in item.patch.items():
                _apply(document, path, value)
            applied.append(item)
    return tomlkit.dumps(document), applied


def _apply(document: Any, path: str, value: Any) -> None:
    """Set `path`, or remove it when `value` is None; tables appear and vanish as needed."""
    *tables, leaf = path.replace("[", ".[").split(".")
    section: Any = document
    trail: list[tuple[Any, str]] = []
    for name in tables:
        if name.startswith("["):
            section = section[int(name[1:-1])]
            continue
        if name not in section:
            if value is None:
                return
            section[name] = tomlkit.table()
        trail.append((section, name))
        section = section[name]
    if value is not None:
        section[leaf] = value
        return
    try:
        del section[leaf]
    except NonExistentKey:
        return
    for parent, name in reversed(trail):
        if len(parent[name]) == 0:
            del parent[name]
