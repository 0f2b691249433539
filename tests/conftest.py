"""Shared fixtures: offline, single-threaded, tiny models built once per session."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.conformance import checks_of, results, table


def pytest_itemcollected(item: pytest.Item) -> None:
    item.user_properties.extend(("conformance", found) for found in checks_of(item))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of families and checks, when any were run."""
    stats = terminalreporter.stats
    found = results(r for name in ("passed", "failed", "skipped") for r in stats.get(name, ()))
    if found:
        terminalreporter.section("families")
        for line in table(found):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model by family name, built on first use."""
    from tests.support.families import make_tiny

    made: dict[str, Path] = {}

    def build(kind: str) -> Path:
        if kind not in made:
            made[kind] = make_tiny(kind, tmp_path_factory.mktemp("tiny") / kind)
        return made[kind]

    return build


@pytest.fixture(scope="session")
def tiny_edit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny checkpoint that edits pictures, built on first use."""
    from tests.support.edits import make_edit

    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = make_edit(name, tmp_path_factory.mktemp("edit") / name)
        return made[name]

    return build


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own homes."""
    monkeypatch.setenv("STUNE_HOME", str(tmp_path / "home"))
