"""Read a job file: TOML, YAML or JSON, with the line of every key.

The result is plain data. Positions let every finding name file and line. A key that stands twice
is an error in all three formats, because one of the two values would silently be lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config.positions import json_lines, toml_lines, yaml_lines
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
            probe = probe[: max(probe.rfind("."), probe.rfind("["), 0)]
        return self.name


def read_document(path: Path) -> Document:
    """Read a file; its ending decides the format."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "the file does not exist", "check the path") from None
    except IsADirectoryError:
        raise _unreadable(path, "this is a folder", "name the job file in it") from None
    except (OSError, UnicodeDecodeError) as error:
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
    if text.lstrip().startswith("{"):
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
        line = int(match[1]) if match else text.count("\n") + 1  # "at end of document"
        raise _malformed(name, line, str(error)) from None


def _yaml(text: str, name: str) -> tuple[Any, dict[str, int]]:
    import yaml

    from trainer.config.yaml_loader import JobLoader

    try:
        node = yaml.compose(text, Loader=JobLoader)
        data = yaml.load(text, Loader=JobLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error)
        raise _malformed(name, mark.line + 1 if mark else 1, why) from None
    return ({} if data is None else data), yaml_lines(node)


def _json(text: str, name: str) -> tuple[Any, dict[str, int]]:
    try:
        data = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise _malformed(name, error.lineno, error.msg) from None
    except ValueError as error:
        match = re.search(r"\"(.*)\"", str(error))
        assert match is not None
        places = list(re.finditer(rf'"{re.escape(match[1])}"\s*:', text))
        line = text.count("\n", 0, places[-1].start()) + 1 if places else 1
        raise _malformed(name, line, str(error)) from None
    return data, json_lines(text)


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise ValueError(f'the key "{key}" stands twice')
        seen[key] = value
    return seen
