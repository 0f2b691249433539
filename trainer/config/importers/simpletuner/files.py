"""One file of a SimpleTuner run: a configuration in any of three forms, or a list of datasets."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config.importers.ledger import Item
from trainer.config.importers.simpletuner import envfile, lenient, names
from trainer.config.positions import toml_lines
from trainer.errors import ConfigError
from trainer.findings import Finding, finding


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run configuration: its settings in their order."""

    path: Path
    items: list[Item]


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A dataset file: its entries, and the line of each key path such as `[0].id`."""

    path: Path
    entries: list[Any]
    lines: Mapping[str, int] = field(default_factory=dict)


def read_file(path: Path) -> tuple[RunFile | DatasetFile, list[Finding]]:
    """A file and what was overlooked in it; ConfigError when it is neither of the two."""
    content, name = _text(path), str(path)
    if path.suffix == ".env":
        items, told = envfile.parse(content, name)
        return RunFile(path, [*_shared_items(path), *items]), told
    if path.suffix == ".toml":
        data, lines = _toml(content, name)
        return RunFile(path, _options(data, lines, name)), []
    data, lines, told = lenient.parse(content, name)
    if isinstance(data, list):
        return DatasetFile(path, data, lines), told
    if isinstance(data, dict):
        return RunFile(path, _options(data, lines, name)), told
    raise no_source(f"{path} is neither a configuration nor a list of datasets", "", path)


def _shared_items(path: Path) -> list[Item]:
    """Items of `config/config.env`, which SimpleTuner reads before `config/NAME/config.env`."""
    shared = path.absolute().parent.parent / path.name
    if path.name != "config.env" or shared.parent.name != "config" or not shared.is_file():
        return []
    return envfile.parse(_text(shared), str(shared))[0]


def _toml(content: str, name: str) -> tuple[dict[str, Any], dict[str, int]]:
    try:
        return tomllib.loads(content), toml_lines(content)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        raise lenient.broken(f"{name}:{match[1]}" if match else name, str(error)) from None
    except RecursionError:
        raise lenient.broken(name, "it is nested too deeply") from None


def _options(data: Mapping[str, Any], lines: Mapping[str, int], name: str) -> list[Item]:
    return [
        names.option(key, value, f"{name}:{lines[key]}" if key in lines else name)
        for key, value in data.items()
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        why = "the file does not exist"
    except (OSError, ValueError) as error:
        why = str(error)
    problem = finding("IMP001", f"cannot read {path}: {why}", where=str(path), fix="check the path")
    raise ConfigError(problem)


def no_source(message: str, fix: str, path: Path | None = None) -> ConfigError:
    """The paths do not name what can be imported."""
    return ConfigError(finding("IMP002", message, where=str(path or ""), fix=fix))
