"""All jobs of the host, with a free filter."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from stdaemon.wire.jobs import Job
from sttui.tui.columns import JOB_COLUMNS, job_row
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.virtual_table import VirtualTable


class Jobs(JobActions, StuneScreen):
    title_text = "Jobs"
    BINDINGS = JobActions.JOB_BINDINGS
    DEFAULT_CSS = """
    Jobs #filter { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    Jobs #filter.-open { display: block; }
    Jobs #summary { height: 1; color: $text-muted; }
    """

    def body(self) -> ComposeResult:
        yield Static("", id="summary", markup=False)
        yield Input(placeholder="words, or state:failed family:flux !tag", id="filter")
        yield VirtualTable(JOB_COLUMNS, empty="no jobs: press 3 for presets", id="jobs")

    def selected(self) -> Job | None:
        return self.app.state.jobs.get(self.query_one(VirtualTable).current or "")

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self.app.open_job(message.key, "overview")

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.add_class("-open")
        field.focus()

    def on_input_changed(self) -> None:
        self.refresh_state()

    def on_input_submitted(self) -> None:
        self.query_one(VirtualTable).focus()

    def clear_filter(self) -> bool:
        """Take the filter away; True when there was one."""
        field = self.query_one("#filter", Input)
        was = field.has_class("-open")
        field.value = ""
        field.remove_class("-open")
        self.query_one(VirtualTable).focus()
        return was

    def show(self, state: HostState) -> None:
        text = self.query_one("#filter", Input).value
        jobs = select.matching(select.ordered(state), text)
        shown = f" · {len(jobs)} match" if text else ""
        self.query_one("#summary", Static).update(f"{select.counters(state)}{shown}")
        self.query_one(VirtualTable).set_rows([job_row(j, self.app.options) for j in jobs])
