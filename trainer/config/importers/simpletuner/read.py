"""Find the files of a SimpleTuner run: its configuration and its dataset file.

A path is one of the two, or a folder that holds both. A list is a dataset file; everything else
is a run configuration, whose `data_backend_config` names the dataset file unless it is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainer.config.importers.ledger import Item
from trainer.config.importers.simpletuner.environment import filled
from trainer.config.importers.simpletuner.files import DatasetFile, RunFile, no_source, read_file
from trainer.config.importers.simpletuner.places import Places
from trainer.config.importers.values import structure, text
from trainer.errors import ConfigError
from trainer.findings import Finding, finding

RUN_NAMES = ("config.json", "config.toml", "config.env")


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
    if sources.run is None:
        if sources.datasets is None:
            raise no_source("nothing to import was named", "name a file or a folder")
        return sources
    items = [_filled(item, env, sources.findings) for item in sources.run.items]
    sources.run = replace(sources.run, items=items)
    if sources.datasets is None:
        _named_datasets(sources, sources.run, Places(sources.folder, target))
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
        fix = "name the one that is meant"
        raise no_source(f"{path} holds several dataset files: {listed}", fix, path)
    found = [p for p in (run, *datasets) if p is not None]
    if not found:
        what = f"{path} holds no config.json, config.toml, config.env or dataset file"
        raise no_source(what, "name the files themselves", path)
    return found


def _names_datasets(path: Path) -> bool:
    """Whether a run configuration says where its dataset file is, and it is there."""
    file, _ = read_file(path)
    item = _dataset_item(file) if isinstance(file, RunFile) else None
    if item is None:
        return False
    if isinstance(structure(item.value), list):
        return True
    found = Places(path.absolute().parent, path).found(str(item.value))
    return isinstance(item.value, str) and found.is_file()


def _dataset_item(run: RunFile) -> Item | None:
    return next((i for i in reversed(run.items) if i.name == "data_backend_config"), None)


def _is_dataset_file(path: Path) -> bool:
    try:
        file, _ = read_file(path)
    except ConfigError:
        return False
    entries = file.entries if isinstance(file, DatasetFile) else []
    return any(isinstance(entry, dict) and "id" in entry for entry in entries)


def _take(sources: Sources, path: Path) -> None:
    """Read a file and put it where it belongs."""
    file, told = read_file(path)
    sources.findings += told
    if isinstance(file, DatasetFile):
        sources.datasets = _only(sources.datasets, file)
    else:
        sources.run = _only(sources.run, file)


def _only(present: Any, new: Any) -> Any:
    if present is not None:
        message = f"{present.path} and {new.path} are of the same kind"
        raise no_source(message, "name one of them", new.path)
    return new


def _filled(item: Item, env: Mapping[str, str], told: list[Finding]) -> Item:
    """The item with `{env:NAME}` replaced by the variable's present value."""
    if not isinstance(item.value, str):
        return item
    value, wanted = filled(item.value, env, item.key, item.where, told)
    return replace(item, value=value, note=wanted or item.note)


def _named_datasets(sources: Sources, run: RunFile, places: Places) -> None:
    """Read the dataset file that the configuration names, or the usual one beside it."""
    item = _dataset_item(run)
    inline = structure(item.value) if item else None
    if isinstance(inline, list):
        sources.datasets = DatasetFile(run.path, inline)
        return
    name = text(item.value) if item else None
    path = places.found(name) if name else sources.folder / "multidatabackend.json"
    if path.is_file():
        _take(sources, path if run.path.is_absolute() else Path(os.path.relpath(path)))
        return
    sources.findings.append(
        finding(
            "IMP008",
            f"the dataset file {name or path.name} is not there",
            where=item.where if item else str(run.path),
            why="without it the job has no data",
            fix="name it as a further PATH",
            level="warn",
        )
    )
