"""Line numbers of keys in a text, so that a finding can name the line.

The parsers of the standard library give none for TOML and JSON. TOML is read by headers and
`key =` starts; JSON is YAML with fewer forms, so both share one walk over YAML's nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def toml_lines(text: str) -> dict[str, int]:
    """Key path -> line of each key of a well-formed TOML text."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in _outside_long_strings(text):
        if match := re.match(r"\s*\[\[\s*([^\]]+?)\s*\]\]", line):
            name = _indexed(_plain(match[1]), counts)
            index = counts.get(name, 0)
            counts[name] = index + 1
            table = f"{name}[{index}]"
            lines[table] = number
            lines.setdefault(name, number)
        elif match := re.match(r"\s*\[\s*([^\]]+?)\s*\]\s*(#.*)?$", line):
            table = _indexed(_plain(match[1]), counts)
            lines[table] = number
        elif match := re.match(r"""\s*([\w"'.\- ]+?)\s*=""", line):
            key = _plain(match[1])
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return lines


def _outside_long_strings(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines; those that begin inside a triple-quoted string are left out."""
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not inside:
            yield number, line
        for quote in re.findall(r"\"{3}|'{3}", line):
            if not inside:
                inside = quote
            elif quote == inside:
                inside = ""


def _plain(name: str) -> str:
    """A dotted key without quotes and spaces."""
    return ".".join(part.strip(" \"'") for part in name.split("."))


def _indexed(name: str, counts: dict[str, int]) -> str:
    """`data.datasets.crop` below `[[data.datasets]]` belongs to its newest item."""
    for prefix, count in counts.items():
        if name.startswith(f"{prefix}."):
            return f"{prefix}[{count - 1}]{name[len(prefix) :]}"
    return name


def yaml_lines(node: Any) -> dict[str, int]:
    """Key path -> line, from a composed YAML node."""
    lines: dict[str, int] = {}
    _walk(node, "", lines)
    return lines


def _walk(node: Any, prefix: str, lines: dict[str, int]) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}.{key.value}" if prefix else str(key.value)
            lines[path] = key.start_mark.line + 1
            _walk(value, path, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{prefix}[{index}]"] = value.start_mark.line + 1
            _walk(value, f"{prefix}[{index}]", lines)


def json_lines(text: str) -> dict[str, int]:
    """Key path -> line of a well-formed JSON text."""
    import yaml

    try:
        return yaml_lines(yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return {}
