"""Merge configuration layers and remember where each value came from.

Later layers win key by key; lists are replaced whole, because half a list of datasets means
nothing. Order: built-in < family < preset < file < environment < command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS = ("built-in", "family", "preset", "file", "environment", "command line")


@dataclass(frozen=True, slots=True)
class Origin:
    """Layer and place of a value; `where` is file:line, variable name or option."""

    layer: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.layer} {self.where}".rstrip()


@dataclass(frozen=True, slots=True)
class Layer:
    """A partial configuration; `places` maps its leaf paths to a place."""

    name: str
    data: Mapping[str, Any]
    places: Mapping[str, str]

    def origin(self, path: str) -> Origin:
        probe = path
        while probe:
            if probe in self.places:
                return Origin(self.name, self.places[probe])
            probe = probe.rpartition(".")[0] if "." in probe else ""
        return Origin(self.name, self.places.get("", ""))


def leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaf paths and values; a list of tables descends with `[index]`."""
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for index, item in enumerate(value):
                yield from leaves(item, f"{path}[{index}].")
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
            layer.origin(path) for layer in reversed(layers) if _sets(layer.data, path)
        )
    return data, origins


def _into(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _into(target[key], value)
        else:
            target[key] = _copy(value)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _sets(data: Any, path: str) -> bool:
    """Whether the layer has the key (a list that it sets counts for all its items)."""
    for name in path.replace("[", ".[").split("."):
        if name.startswith("["):
            return isinstance(data, list)
        if not isinstance(data, Mapping) or name not in data:
            return False
        data = data[name]
    return True


def nested(path: str, value: Any) -> dict[str, Any]:
    """`a.b`, 1 -> {"a": {"b": 1}}."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value
