"""The effective configuration, each value with where it came from."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult

from stdaemon.wire.jobs import JobConfigView
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (TableColumn("KEY", 32), TableColumn("VALUE", 0), TableColumn("FROM", 24))


class ConfigTab(JobTab):
    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self._loaded = False

    def compose(self) -> ComposeResult:
        yield VirtualTable(COLUMNS, empty="loading …", id="config")

    def take_focus(self) -> None:
        self.query_one(VirtualTable).focus()

    def update_data(self) -> None:
        if not self._loaded:  # a submitted configuration never changes
            self.app.call_daemon(lambda client: client.job_config(self.job_id), self._show)

    def _show(self, view: JobConfigView) -> None:
        self._loaded = True
        rows = [
            TableRow(path, (path, str(value), view.origins.get(path, "built-in")))
            for path, value in flat(view.effective)
        ]
        self.query_one(VirtualTable).set_rows(rows)


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
