"""Checkpoints of a job, newest first."""

from __future__ import annotations

from textual.app import ComposeResult

from stdaemon.wire.checkpoints import Checkpoint
from sttui.format import values
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (
    TableColumn("STEP", 10, right=True),
    TableColumn("SIZE", 10, right=True),
    TableColumn("WHOLE", 6),
    TableColumn("SAVED", 20),
    TableColumn("PATH", 0),
)


class CheckpointsTab(JobTab):
    def compose(self) -> ComposeResult:
        yield VirtualTable(COLUMNS, empty="no checkpoint yet", id="checkpoints")

    def take_focus(self) -> None:
        self.query_one(VirtualTable).focus()

    def update_data(self) -> None:
        self.app.call_daemon(lambda client: client.checkpoints(self.job_id), self._show)

    def _show(self, found: list[Checkpoint]) -> None:
        self.query_one(VirtualTable).set_rows([_row(c) for c in found])


def _row(item: Checkpoint) -> TableRow:
    whole = {True: "yes", False: "NO", None: values.UNKNOWN}[item.verified]
    cells = (str(item.step), values.size(item.bytes), whole, values.age(item.created), item.path)
    return TableRow(item.path, cells)
