"""Read a job file: TOML, YAML or JSON, with the line of every key.

The result is plain data. Positions let every finding name file and line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.errors import ConfigError
from trainer.findings import finding

FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Document:
    """One configuration text; `lines` maps key paths to 1-based line numbers."""

    data: dict[str, Any]
    text: str
    format: str
    name: str
    lines: dict[str, int] = field(default_factory=dict)

    def where(self, path: str) -> str:
        """`file:line` of a key, or of the nearest table around it."""
        probe = path
        while probe:
            if line := self.lines.get(probe):
                return f"{self.name}:{line}"
            probe = probe.rpartition(".")[0] if "." in probe else ""
        return self.name


def read_document(path: Path) -> Document:
    """Read a file; its ending decides the format."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "the file does not exist", "check the path") from None
    except IsADirectoryError:
        raise _unreadable(path, "this is a folder", "name the job file in it") from None
    except (PermissionError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error), "it must be a readable UTF-8 text file") from None
    return parse_document(text, FORMATS.get(path.suffix.lower(), "toml"), str(path))


def _unreadable(path: Path, why: str, fix: str) -> ConfigError:
    return ConfigError(
        finding("CFG001", f"cannot read {path}: {why}", where=str(path), why=why, fix=fix)
    )


def parse_document(text: str, format: str, name: str) -> Document:
    if not text.strip():
        raise ConfigError(
            finding("CFG002", "the configuration is empty", where=name, fix="write a job file")
        )
    data, lines = {"toml": _toml, "yaml": _yaml, "json": _json}[format](text, name)
    if not isinstance(data, dict):
        raise _malformed(name, 1, f"a job is a table of sections, not a {type(data).__name__}")
    return Document(data, text, format, name, lines)


def guess_format(text: str) -> str:
    """Format of a text without a file name (standard input)."""
    head = text.lstrip()
    if head.startswith("{"):
        return "json"
    toml_like = re.search(r"^\s*\[|^\s*[\w.\"-]+\s*=", text, re.MULTILINE)
    return "toml" if toml_like else "yaml"


def _malformed(name: str, line: int, why: str) -> ConfigError:
    return ConfigError(
        finding(
            "CFG003",
            f"not well-formed: {why}",
            where=f"{name}:{line}",
            fix="mend the syntax at this line",
        )
    )


def _toml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    import tomllib

    try:
        return tomllib.loads(text), toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        raise _malformed(name, int(match[1]) if match else 1, str(error)) from None


def toml_lines(text: str) -> dict[str, int]:
    """Line of each key, read from headers and `key =` starts."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\[\s*([^\]]+?)\s*\]\]", line):
            name = match[1].replace('"', "")
            index = counts.get(name, 0)
            counts[name] = index + 1
            table = f"{name}[{index}]"
            lines[table] = number
        elif match := re.match(r"\s*\[\s*([^\]]+?)\s*\]\s*(#.*)?$", line):
            table = _indexed(match[1].replace('"', ""), counts)
            lines[table] = number
        elif match := re.match(r"\s*([\w\"'.-]+)\s*=", line):
            key = match[1].replace('"', "").replace("'", "")
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return lines


def _indexed(name: str, counts: dict[str, int]) -> str:
    """`data.datasets.crop` below `[[data.datasets]]` belongs to its newest item."""
    for prefix, count in counts.items():
        if name.startswith(f"{prefix}."):
            return f"{prefix}[{count - 1}]{name[len(prefix) :]}"
    return name


def _yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error)
        raise _malformed(name, mark.line + 1 if mark else 1, why) from None
    lines: dict[str, int] = {}
    _yaml_lines(node, "", lines)
    return data, lines


def _yaml_lines(node: Any, prefix: str, lines: dict[str, int]) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}.{key.value}" if prefix else str(key.value)
            lines[path] = key.start_mark.line + 1
            _yaml_lines(value, path, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{prefix}[{index}]"] = value.start_mark.line + 1
            _yaml_lines(value, f"{prefix}[{index}]", lines)


def _json(text: str, name: str) -> tuple[Any, dict[str, int]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(name, error.lineno, error.msg) from None
    lines: dict[str, int] = {}
    _yaml_lines_of_json(text, lines)
    return data, lines


def _yaml_lines_of_json(text: str, lines: dict[str, int]) -> None:
    """JSON is YAML with fewer forms (tabs apart), so the same walk finds the lines."""
    import yaml

    try:
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    _yaml_lines(node, "", lines)
