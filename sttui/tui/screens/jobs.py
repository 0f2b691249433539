"""All jobs of the host, with a free filter. Only rows in view are ever made."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from stdaemon.wire.jobs import Job
from sttui.format.states import is_terminal
from sttui.tui.columns import JOB_COLUMNS, job_row
from sttui.tui.keys import bindings
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.dashboard import empty_text
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.virtual_table import TableRow, VirtualTable


class Jobs(JobActions, StuneScreen):
    BINDINGS = JobActions.JOB_BINDINGS + bindings("filter")
    CSS_PATH = "jobs.tcss"
    crumbs = ("Jobs",)

    def body(self) -> ComposeResult:
        yield Static("", id="summary", markup=False)
        yield Input(
            placeholder="words, or state:failed family:flux !tag", id="filter", classes="search"
        )
        yield VirtualTable(JOB_COLUMNS, empty="connecting …", id="jobs")

    def selected(self) -> Job | None:
        return self.app.state.jobs.get(self.query_one(VirtualTable).current or "")

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self.app.open_job(message.key, "overview")

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)  # at once: what is typed next belongs to it

    def on_input_changed(self) -> None:
        self.refresh_state()

    def on_input_submitted(self) -> None:
        self.set_focus(self.query_one(VirtualTable))

    def step_back(self) -> bool:
        """Take the filter away; True when there was one."""
        field = self.query_one("#filter", Input)
        was = field.display
        field.value = ""
        field.display = False
        self.set_focus(self.query_one(VirtualTable))
        return was

    def show(self, state: HostState) -> None:
        text = self.query_one("#filter", Input).value.strip()
        jobs = select.matching(select.ordered(state), text)
        self.query_one("#summary", Static).update(_summary(state, len(jobs), text))
        local = self.app.client.address.startswith("unix://")
        empty = f"No job matches {text!r}." if text else empty_text(state, local=local)
        table = self.query_one(VirtualTable)
        table.empty = empty
        table.set_source([job.id for job in jobs], self._row)

    def _row(self, key: str) -> TableRow:
        state = self.app.state
        job = state.jobs.get(key)
        if job is None:  # gone since the list was made; the next drawing leaves it out
            return TableRow(key, ("",) * len(JOB_COLUMNS))
        return job_row(job, state, self.app.options)


def _summary(state: HostState, num_shown: int, text: str) -> str:
    total = len(state.jobs)
    ended = sum(is_terminal(str(job.state)) for job in state.jobs.values())
    failed = sum(str(job.state) == "failed" for job in state.jobs.values())
    if text:
        return f"{num_shown} of {total} jobs match"
    parts = [f"{total} job{'' if total == 1 else 's'}", f"{total - ended} live", f"{ended} ended"]
    return " · ".join([*parts, f"{failed} failed"] if failed else parts)
