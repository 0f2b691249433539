"""Checkpoints of a run, newest first."""

from __future__ import annotations

from textual.app import ComposeResult

from stdaemon.wire.checkpoints import Checkpoint
from sttui.format import values
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (
    TableColumn("STEP", 9, right=True),
    TableColumn("SIZE", 9, right=True),
    TableColumn("WHOLE", 7),
    TableColumn("SAVED", 19),
    TableColumn("FOLDER", 0),
)
EMPTY = "No checkpoint yet."


class CheckpointsTab(JobTab):
    every_s = 2.0

    def compose(self) -> ComposeResult:
        yield VirtualTable(COLUMNS, empty="loading …", opens=False, id="checkpoints-table")

    def take_focus(self) -> None:
        self.query_one(VirtualTable).focus()

    def trouble(self, text: str) -> None:
        if text:
            self.query_one(VirtualTable).set_rows([], empty=text)

    def update_data(self) -> None:
        self.ask(lambda client: client.checkpoints(self.job_id), self._show)

    def _show(self, found: list[Checkpoint]) -> None:
        self.query_one(VirtualTable).set_rows([_row(c) for c in found], empty=EMPTY)


def _row(item: Checkpoint) -> TableRow:
    whole = {True: "yes", False: "NO", None: values.UNKNOWN}[item.verified]
    ink = {True: "green", False: "red", None: "dim"}[item.verified]
    saved = values.clock(item.created)
    cells = (str(item.step), values.size(item.bytes), whole, saved, item.path)
    return TableRow(item.path, cells, ("bold", "", ink, "dim", "dim"))
