"""The effective configuration, each value with where it came from; what was set stands out."""

from __future__ import annotations

import json
from typing import Any

from textual.app import ComposeResult

from stdaemon.wire.jobs import JobConfigView
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (TableColumn("KEY", 31), TableColumn("VALUE", 0), TableColumn("FROM", 24))
BUILT_IN = "built-in"


class ConfigTab(JobTab):
    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self._loaded = False

    def compose(self) -> ComposeResult:
        yield VirtualTable(COLUMNS, empty="loading …", opens=False, id="config-table")

    def take_focus(self) -> None:
        self.query_one(VirtualTable).focus()

    def trouble(self, text: str) -> None:
        if text:
            self.query_one(VirtualTable).set_rows([], empty=text)

    def update_data(self) -> None:
        if not self._loaded:  # a submitted configuration never changes
            self.ask(lambda client: client.job_config(self.job_id), self._show)

    def _show(self, view: JobConfigView) -> None:
        self._loaded = True
        rows = [_row(path, value, view.origins) for path, value in flat(view.effective)]
        self.query_one(VirtualTable).set_rows(rows)


def _row(path: str, value: object, origins: dict[str, str]) -> TableRow:
    origin = short_origin(origins.get(path, BUILT_IN))
    quiet = "dim" if origin == BUILT_IN else ""
    return TableRow(path, (path, value_text(value), origin), (quiet, quiet, quiet or "blue"))


def value_text(value: object) -> str:
    """As it would be written in a job file; what is unset is an en dash."""
    if value is None:
        return "–"
    return json.dumps(value, ensure_ascii=False)


def short_origin(origin: str) -> str:
    """`preset flux/lora` instead of a path of the host; other origins as they are."""
    kind, _, path = origin.partition(" ")
    if "/" not in path:
        return origin
    parts = path.removesuffix(".toml").split("/")
    return f"{kind} {'/'.join(parts[-2:] if kind == 'preset' else parts[-1:])}"


def flat(data: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Leaf paths and values in order."""
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found += flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for index, item in enumerate(value):
                found += flat(item, f"{path}[{index}].")
        else:
            found.append((path, value))
    return found
