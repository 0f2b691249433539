"""Merge configuration layers and remember where each value came from.

Later layers win key by key. A list replaces a list, because half a list of datasets means
nothing; only single values (`--set data.datasets[0].path=…`) reach into one, by index.
Order: built-in < family < preset < file < environment < command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from trainer.errors import ConfigError
from trainer.findings import finding

LAYERS = ("built-in", "family", "preset", "file", "environment", "command line")

Part = str | int


@dataclass(frozen=True, slots=True)
class Origin:
    """Layer and place of a value; `where` is file:line, variable name or option."""

    layer: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.where}".rstrip()


@dataclass(frozen=True, slots=True)
class Layer:
    """A partial configuration; `places` maps key paths to a place, "" is that of all others.

    A mapping with whole numbers as keys changes items of a list.
    """

    name: str
    data: Mapping[Any, Any]
    places: Mapping[str, str]

    def origin(self, path: str) -> Origin:
        parts = split(path)
        for end in range(len(parts), -1, -1):
            if (place := self.places.get(join(parts[:end]))) is not None:
                return Origin(self.name, place)
        return Origin(self.name)

    def without(self, paths: Sequence[str]) -> Layer:
        """The layer without some keys."""
        data = deepcopy(dict(self.data))
        for path in paths:
            *tables, leaf = split(path)
            section: Any = data
            for part in tables:
                section = _child(section, part)
            if isinstance(section, dict):
                section.pop(leaf, None)
            elif isinstance(section, list) and isinstance(leaf, int) and leaf < len(section):
                del section[leaf]
        return replace(self, data=data)


def split(path: str) -> list[Part]:
    """`a.b[0].c` -> ["a", "b", 0, "c"]."""
    parts = re.split(r"\.|(?=\[)", path)
    return [int(p[1:-1]) if re.fullmatch(r"\[\d+\]", p) else p for p in parts if p]


def join(parts: Sequence[Part]) -> str:
    """The inverse of `split`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nested(path: str, value: Any) -> dict[Any, Any]:
    """`a.b`, 1 -> {"a": {"b": 1}}."""
    for part in reversed(split(path)):
        value = {part: value}
    return value


def leaves(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaf paths and values; a list of tables descends with `[index]`."""
    for key, value in data.items():
        path = f"{prefix}[{key}]" if isinstance(key, int) else f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            yield from leaves(dict(enumerate(value)), path)
        else:
            yield path, value


def merge(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, Origin]]:
    """The merged data and the origin of every leaf in it."""
    data: dict[str, Any] = {}
    for layer in layers:
        _into(data, layer.data)
    origins: dict[str, Origin] = {}
    for path, _ in leaves(data):
        origins[path] = next(
            layer.origin(path) for layer in reversed(layers) if _sets(layer.data, split(path))
        )
    return data, origins


def value_at(data: Any, path: str) -> Any:
    """The value of a key path, None where there is none."""
    for part in split(path):
        data = _child(data, part)
    return data


def _into(target: dict[Any, Any], source: Mapping[Any, Any]) -> None:
    for key, value in source.items():
        old = target.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict):
            _into(old, value)
        elif _is_patch(value):
            target[key] = _patched(old if isinstance(old, list) else [], value)
        else:
            target[key] = _copy(value)


def _is_patch(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(k, int) for k in value)


def _patched(items: list[Any], patch: Mapping[int, Any]) -> list[Any]:
    """The list with some items changed; the index after the last one adds an item."""
    by_index = dict(enumerate(items))
    for index in sorted(patch):
        if index > len(by_index):
            raise ConfigError(
                finding(
                    "CFG007",
                    f"index [{index}] of a list with {len(by_index)} items",
                    where=f"[{index}]",
                    fix=f"the next free index is [{len(by_index)}]",
                )
            )
        _into(by_index, {index: patch[index]})
    return list(by_index.values())


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        if _is_patch(value):
            return _patched([], value)
        fresh: dict[Any, Any] = {}
        _into(fresh, value)
        return fresh
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _child(data: Any, part: Part) -> Any:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def _sets(data: Any, parts: Sequence[Part]) -> bool:
    """Whether the layer has the key (a list that it sets counts for all its items)."""
    for part in parts:
        if isinstance(data, list):
            return True
        if not isinstance(data, Mapping) or part not in data:
            return False
        data = data[part]
    return True
