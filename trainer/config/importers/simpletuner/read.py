"""Find and read the files of a SimpleTuner run: its configuration and its dataset file.

A path is one of the two, or a folder that holds both. A list is a dataset file; everything else
is a run configuration, whose `data_backend_config` names the dataset file unless it is given.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainer.config.importers.ledger import Item
from trainer.config.importers.simpletuner import envfile, lenient, names
from trainer.config.importers.simpletuner.places import Places
from trainer.config.importers.values import structure, text
from trainer.config.positions import toml_lines
from trainer.errors import ConfigError
from trainer.findings import Finding, finding

RUN_NAMES = ("config.json", "config.toml", "config.env")
_PLACEHOLDER = re.compile(r"\{env:(\w+)\}")


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


@dataclass(slots=True)
class Sources:
    """What there is to import; `findings` are about reading only."""

    run: RunFile | None = None
    datasets: DatasetFile | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where relative paths begin their search."""
        first = self.run or self.datasets
        assert first is not None
        return first.path.absolute().parent


def read_sources(paths: Sequence[Path], target: Path, env: Mapping[str, str]) -> Sources:
    """Read all files; ConfigError when they are unreadable or not what is imported here."""
    sources = Sources()
    for path in paths:
        for file in _files(path):
            _take(sources, file)
    if sources.run is None and sources.datasets is None:
        raise _no_source("nothing to import was named", "name a file or a folder")
    if sources.run is not None:
        items = [_filled(item, env, sources.findings) for item in sources.run.items]
        sources.run = replace(sources.run, items=items)
        if sources.datasets is None:
            _named_datasets(sources, Places(sources.folder, target))
    return sources


def _files(path: Path) -> list[Path]:
    """The files that a path stands for."""
    if not path.is_dir():
        return [path]
    run = next((path / name for name in RUN_NAMES if (path / name).is_file()), None)
    if run is not None and _names_datasets(run):
        return [run]
    others = [p for p in sorted(path.glob("*.json")) if p.name != "config.json"]
    datasets = [p for p in others if _is_dataset_file(p)]
    if len(datasets) > 1:
        listed = ", ".join(p.name for p in datasets)
        raise _no_source(
            f"{path} holds several dataset files: {listed}", "name the one that is meant", path
        )
    found = [p for p in (run, *datasets) if p is not None]
    if not found:
        raise _no_source(
            f"{path} holds no config.json, config.toml, config.env or dataset file",
            "name the files themselves",
            path,
        )
    return found


def _names_datasets(run: Path) -> bool:
    """Whether a run configuration says where its dataset file is, and it is there."""
    found = _run(run, _text(run), []).items
    item = next((i for i in found if i.name == "data_backend_config"), None)
    if item is None:
        return False
    if structure(item.value) is not None:
        return True
    return isinstance(item.value, str) and Places(run.parent, run.parent).found(item.value).is_file()


def _is_dataset_file(path: Path) -> bool:
    try:
        data, _, _ = lenient.parse(_text(path), str(path))
    except ConfigError:
        return False
    return _is_entries(data)


def _is_entries(data: Any) -> bool:
    return isinstance(data, list) and any(isinstance(e, dict) and "id" in e for e in data)


def _take(sources: Sources, path: Path) -> None:
    """Read a file and put it where it belongs."""
    content = _text(path)
    if path.suffix in (".toml", ".env"):
        sources.run = _only(sources.run, _run(path, content, sources.findings))
        return
    data, lines, told = lenient.parse(content, str(path))
    sources.findings += told
    if isinstance(data, list):
        sources.datasets = _only(sources.datasets, DatasetFile(path, data, lines))
    elif isinstance(data, dict):
        sources.run = _only(sources.run, RunFile(path, _options(data, lines, str(path))))
    else:
        raise _no_source(f"{path} is neither a configuration nor a list of datasets", "", path)


def _only(present: Any, new: Any) -> Any:
    if present is not None:
        raise _no_source(
            f"{present.path} and {new.path} are of the same kind", "name one of them", new.path
        )
    return new


def _run(path: Path, content: str, told: list[Finding]) -> RunFile:
    """A run configuration in any of its three forms."""
    name = str(path)
    if path.suffix == ".env":
        items, unread = envfile.parse(content, name)
        told += unread
        return RunFile(path, items)
    if path.suffix == ".toml":
        try:
            data, lines = tomllib.loads(content), toml_lines(content)
        except tomllib.TOMLDecodeError as error:
            match = re.search(r"at line (\d+)", str(error))
            raise lenient.broken(f"{name}:{match[1]}" if match else name, str(error)) from None
        return RunFile(path, _options(data, lines, name))
    data, lines, _ = lenient.parse(content, name)
    return RunFile(path, _options(data, lines, name) if isinstance(data, dict) else [])


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
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = str(error)
    problem = finding(
        "IMP001", f"cannot read {path}: {why}", where=str(path), fix="check the path"
    )
    raise ConfigError(problem)


def _no_source(message: str, fix: str, path: Path | None = None) -> ConfigError:
    return ConfigError(finding("IMP002", message, where=str(path or ""), fix=fix))


def _filled(item: Item, env: Mapping[str, str], told: list[Finding]) -> Item:
    """The item with `{env:NAME}` replaced by the variable's present value."""
    if not isinstance(item.value, str) or not (wanted := _PLACEHOLDER.findall(item.value)):
        return item
    missing = [name for name in wanted if name not in env]
    for name in missing:
        told.append(
            finding(
                "IMP012",
                f"{item.key}: the environment variable {name} is not set",
                where=item.where,
                fix="set it and import again, or write the value into the job file",
                level="warn",
            )
        )
    value = _PLACEHOLDER.sub(lambda m: env.get(m[1], m[0]), item.value)
    note = f"with the present value of {', '.join(n for n in wanted if n in env)}"
    return replace(item, value=value, note=item.note if missing else note)


def _named_datasets(sources: Sources, places: Places) -> None:
    """Read the dataset file that the configuration names, or the usual one beside it."""
    assert sources.run is not None
    item = next((i for i in sources.run.items if i.name == "data_backend_config"), None)
    inline = structure(item.value) if item else None
    if isinstance(inline, list):
        sources.datasets = DatasetFile(sources.run.path, inline)
        return
    name = text(item.value) if item else None
    path = places.found(name) if name else sources.folder / "multidatabackend.json"
    if path.is_file():
        shown = Path(os.path.relpath(path)) if not sources.run.path.is_absolute() else path
        _take(sources, shown)
        if sources.datasets is None:
            raise _no_source(f"{path} is not a list of datasets", "", path)
        return
    sources.findings.append(
        finding(
            "IMP008",
            f"the dataset file {name or path.name} is not there",
            where=item.where if item else str(sources.run.path),
            why="without it the job has no data",
            fix="name it as a further PATH",
            level="warn",
        )
    )
