"""Apply the mechanical patches of findings to a TOML text, keeping comments and order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Item

from trainer.config.layers import Part, split, value_at
from trainer.config.positions import toml_lines
from trainer.findings import Finding


def fix_text(text: str, findings: Iterable[Finding]) -> tuple[str, list[Finding]]:
    """The mended text and the findings that were applied."""
    applied = []
    for item in findings:
        if item.patch:
            new = apply_patch(text, item.patch)
            if new != text:
                applied.append(item)
            text = new
    return text, applied


def apply_patch(text: str, patch: Mapping[str, Any]) -> str:
    """The text with every key of the patch set, or removed where the value is None."""
    gone = [path for path, value in patch.items() if value is None]
    come = {path: value for path, value in patch.items() if value is not None}
    if len(gone) == len(come) == 1:
        return _renamed(text, gone[0], *come)
    document = tomlkit.parse(text)
    for path in gone:
        _remove(document, split(path))
    for path, value in come.items():
        _set(document, split(path), value)
    return tomlkit.dumps(document)


def _renamed(text: str, old: str, new: str) -> str:
    """The text with a key under its new name: on its line, or moved with its comment.

    Two wrong names may stand for the same right one; the first gets it, the other stays.
    """
    document = tomlkit.parse(text)
    if value_at(document, new) is not None:
        return text
    table, name = split(old)[:-1], split(old)[-1]
    line = toml_lines(text).get(old)
    if split(new)[:-1] == table and line is not None:
        lines = text.splitlines(keepends=True)
        pattern = rf"(^\s*\[?[\w.\"' -]*?)\b{re.escape(str(name))}\b"
        changed, count = re.subn(pattern, rf"\g<1>{split(new)[-1]}", lines[line - 1], count=1)
        if count:
            lines[line - 1] = changed
            return "".join(lines)
    item = _remove(document, split(old))
    if item is not None:
        _set(document, split(new), item)
    return tomlkit.dumps(document)


def _remove(document: Any, path: list[Part]) -> Item | None:
    """Take a key out; tables that are left with nothing, not even a comment, vanish."""
    holders = [document]
    for part in path[:-1]:
        try:
            holders.append(holders[-1][part])
        except (TOMLKitError, KeyError, IndexError, TypeError):
            return None
    try:
        item = holders[-1][path[-1]]
        del holders[-1][path[-1]]
    except (TOMLKitError, KeyError, IndexError, TypeError):
        return None
    for index in range(len(path) - 1, 0, -1):
        if _is_bare(holders[index]):
            del holders[index - 1][path[index - 1]]
    return item


def _is_bare(table: Any) -> bool:
    return isinstance(table, MutableMapping) and not table and not table.as_string().strip()  # type: ignore[attr-defined]


def _set(document: Any, path: list[Part], value: Any) -> None:
    section = document
    for part in path[:-1]:
        if isinstance(part, str) and part not in section:
            within = isinstance(section, InlineTable)
            section[part] = tomlkit.inline_table() if within else tomlkit.table()
        section = section[part]
    section[path[-1]] = value
