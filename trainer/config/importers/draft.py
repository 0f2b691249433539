"""A job file in the making: values by key path, with the comments that belong on their lines.

Every value is checked against the schema as it is entered, so that the file which comes out has
the right shape whatever the source held.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

import tomlkit
from pydantic import ConfigDict, TypeAdapter, ValidationError
from tomlkit.items import Table

from trainer.config.keys import all_keys, children, generic
from trainer.config.layers import split


def refused(path: str, value: Any) -> str:
    """Why the schema does not take a value at a key path; empty when it does."""
    if value is None:
        return "it cannot be read"
    key = all_keys()[generic(path)]
    if isinstance(value, float) and value != value:
        return "it is not a number"
    annotated: Any = Annotated[(key.field.annotation, key.path, *key.field.metadata)]
    try:
        TypeAdapter[Any](annotated, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        return error.errors()[0]["msg"]
    return ""


class Draft:
    """Nested data of a job; lists of tables grow by index."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.comments: dict[str, str] = {}

    def set(self, path: str, value: Any, comment: str = "") -> None:
        """Enter a value that the schema takes."""
        section: Any = self.data
        parts = split(path)
        for part, following in pairwise(parts):
            fresh: Any = [] if isinstance(following, int) else {}
            if isinstance(part, int):
                if part == len(section):
                    section.append(fresh)
                section = section[part]
            else:
                section = section.setdefault(part, fresh)
        section[parts[-1]] = value
        if comment:
            self.comments[path] = comment

    def get(self, path: str) -> Any:
        section: Any = self.data
        for part in split(path):
            if isinstance(section, Mapping):
                section = section.get(part)
            elif isinstance(section, list) and isinstance(part, int) and part < len(section):
                section = section[part]
            else:
                return None
        return section

    def toml(self, head: str) -> str:
        """The job file, sections and keys in the order of the schema."""
        document = tomlkit.document()
        for line in head.splitlines():
            document.add(tomlkit.comment(line))
        self._fill(document, self.data, "")
        return tomlkit.dumps(document)

    def _fill(self, table: Any, data: Mapping[str, Any], path: str) -> None:
        """Plain values first: in TOML they would otherwise belong to the last sub-table."""
        known = children(generic(path))
        ordered = sorted(data, key=lambda name: known.index(name) if name in known else 0)
        for name in (n for n in ordered if not self._is_section(data[n], f"{path}.{n}".strip("."))):
            self._leaf(table, name, data[name], f"{path}.{name}".strip("."))
        for name in ordered:
            below = f"{path}.{name}".strip(".")
            if not self._is_section(data[name], below):
                continue
            if isinstance(data[name], list):
                tables = tomlkit.aot()
                for index, item in enumerate(data[name]):
                    tables.append(self._section(item, f"{below}[{index}]"))
                table.append(name, tables)
            else:
                table.append(name, self._section(data[name], below))

    def _is_section(self, value: Any, path: str) -> bool:
        key = all_keys().get(generic(path))
        return key is not None and key.section is not None and bool(value)

    def _section(self, data: Mapping[str, Any], path: str) -> Table:
        empty = all(self._is_section(v, f"{path}.{n}") for n, v in data.items())
        table = tomlkit.table(is_super_table=empty and not path.endswith("]"))
        self._fill(table, data, path)
        return table

    def _leaf(self, table: Any, name: str, value: Any, path: str) -> None:
        if isinstance(value, Mapping):
            inline = tomlkit.inline_table()
            inline.update(value)
            item: Any = inline
        else:
            item = tomlkit.item(value)
        if isinstance(value, list) and len(json.dumps(value)) > 80:
            item.multiline(True)
        if path in self.comments:
            item.comment(" ".join(self.comments[path].split()))
        table.append(name, item)
