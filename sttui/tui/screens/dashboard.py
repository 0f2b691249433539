"""The first screen: the host and its devices, what runs, what waits, what happened.

Without a daemon it says so and offers to start one.
"""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from stdaemon.wire.jobs import Job
from stdaemon.wire.metrics import MetricSeries
from sttui.format import values
from sttui.format.states import look
from sttui.tui.columns import JOB_COLUMNS, job_row
from sttui.tui.host_lines import host_lines
from sttui.tui.ink import text_of
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.spans import Line
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.chart import loss_curves
from sttui.tui.widgets.plot import Plot
from sttui.tui.widgets.virtual_table import VirtualTable, fit

LAST_JOBS = 50
LOSS_EVERY_S = 2.0
LOSSES = ("loss", "eval_loss")
SMOOTHING = 0.85
MAX_EVENTS = 6


class Dashboard(JobActions, StuneScreen):
    BINDINGS = JobActions.JOB_BINDINGS
    crumbs = ("Dashboard",)
    _asking = False

    def body(self) -> ComposeResult:
        yield Static("", id="host", classes="lines", markup=False)
        with Vertical(id="work"):
            with Vertical(id="left"):
                yield Static("Jobs", id="jobs-title", classes="title", markup=False)
                yield VirtualTable(JOB_COLUMNS, empty="connecting …", id="jobs")
                yield Plot("Loss", ascii=self.app.options.ascii, id="loss")
            with Vertical(id="right"):
                yield Static("Last events", classes="title", markup=False)
                yield Static("", id="events", classes="lines", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(LOSS_EVERY_S, self._ask_loss)

    def selected(self) -> Job | None:
        return self.app.state.jobs.get(self.query_one(VirtualTable).current or "")

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self.app.open_job(message.key, "overview")

    def on_virtual_table_moved(self) -> None:
        self._ask_loss()

    def _ask_loss(self) -> None:
        """The curve of the selected job, where there is room for it."""
        job = self.selected()
        plot = self.query_one("#loss", Plot)
        plot.display = self.size_class == "l" and job is not None and bool(job.step)
        if not plot.display or job is None or self._asking or not self.app.state.online:
            return
        self._asking = True

        def fetch(client: Client) -> MetricSeries:
            return client.metrics(job.id, series=LOSSES, points=400)

        self.app.call_daemon(fetch, partial(self._draw_loss, job), self._no_loss)

    def _draw_loss(self, job: Job, answer: MetricSeries) -> None:
        self._asking = False
        plot = self.query_one("#loss", Plot)
        plot.title = f"Loss of {job.name}"
        plot.set_curves(loss_curves(answer.series, SMOOTHING, ascii=self.app.options.ascii))
        plot.refresh()

    def _no_loss(self, error: ClientError) -> None:
        self._asking = False

    def show(self, state: HostState) -> None:
        options, width = self.app.options, self.size.width - 2
        lines = host_lines(state, width, ascii=options.ascii)[: max(3, self.size.height - 14)]
        host = self.query_one("#host", Static)
        host.display = bool(lines)
        host.update(text_of(self.app, lines))
        live = select.running(state) + select.waiting(state)
        shown = live or select.ordered(state)[:LAST_JOBS]
        title = "Running and next in queue" if live or not shown else "Last jobs"
        self.query_one("#jobs-title", Static).update(title)
        rows = [job_row(job, state, options) for job in shown]
        local = self.app.client.address.startswith("unix://")
        self.query_one("#jobs", VirtualTable).set_rows(rows, empty=empty_text(state, local=local))
        self._show_events(state, len(lines), len(rows), width)

    def _show_events(self, state: HostState, above: int, num_jobs: int, width: int) -> None:
        side = self.size_class == "l"
        room = self.size.height - 3 - above - 1
        rows = room - 2 if side else min(MAX_EVENTS, room - max(3, num_jobs + 2) - 2)
        right = self.query_one("#right")
        right.display = rows > 0 and bool(state.events)
        if rows > 0:
            lines = event_lines(state, 49 if side else width, rows, ascii=self.app.options.ascii)
            self.query_one("#events", Static).update(text_of(self.app, lines))


def empty_text(state: HostState, *, local: bool) -> str:
    """What stands where jobs would be."""
    if state.online:
        return "No jobs yet. Press 3, choose a preset, press enter."
    if not state.problem:
        return "connecting …"
    offer = "Press S to start it." if local else state.fix
    return f"{state.problem[:1].upper()}{state.problem[1:]}.\n{offer}"


def event_lines(state: HostState, width: int, count: int, *, ascii: bool = False) -> list[Line]:
    """The newest changes of state, newest first."""
    lines: list[Line] = []
    for event in list(state.events)[: -count - 1 : -1]:
        job = state.jobs.get(event.job)
        mark = look(event.new)
        head = f"{values.clock(event.ts)[11:]}  "
        sign = mark.ascii if ascii else mark.mark
        room = width - len(head) - 2 - 12
        text = fit(f"{job.name if job else event.job}: {event.cause}", room).rstrip()
        lines.append([(head, "dim"), (f"{sign} {event.new:<11} ", mark.style), (text, "")])
    return lines
