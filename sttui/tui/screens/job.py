"""One job: overview, log, metrics, samples, checkpoints, configuration."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.widgets import Static, TabbedContent, TabPane

from stdaemon.wire.jobs import Job as JobRecord
from sttui.format import values
from sttui.format.jobs import progress_text
from sttui.format.states import look
from sttui.tui.ink import text_of
from sttui.tui.keys import bindings
from sttui.tui.options import Options
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.spans import Line, whole_spans
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.tabs.checkpoints import CheckpointsTab
from sttui.tui.tabs.config import ConfigTab
from sttui.tui.tabs.log import LogTab
from sttui.tui.tabs.metrics import MetricsTab
from sttui.tui.tabs.overview import OverviewTab
from sttui.tui.tabs.samples import SamplesTab
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.bars import bar

TABS: dict[str, tuple[str, type[JobTab]]] = {
    "overview": ("Overview", OverviewTab),
    "log": ("Log", LogTab),
    "metrics": ("Metrics", MetricsTab),
    "samples": ("Samples", SamplesTab),
    "checkpoints": ("Checkpoints", CheckpointsTab),
    "config": ("Config", ConfigTab),
}
TICK_S = 0.1


class JobScreen(JobActions, StuneScreen):
    AUTO_FOCUS = ""
    BINDINGS = JobActions.JOB_BINDINGS + bindings("detail")
    CSS_PATH = "job.tcss"

    def __init__(self, job_id: str, tab: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.first_tab = tab
        self._asked_at: dict[str, float] = {}

    def place(self) -> tuple[str, ...]:
        job = self.selected()
        return ("Jobs", job.name if job else self.job_id)

    def body(self) -> ComposeResult:
        yield Static("", id="head", classes="lines", markup=False)
        with TabbedContent(initial=self.first_tab, id="tabs"):
            for name, (title, make) in TABS.items():
                with TabPane(title, id=name):
                    yield make(self.job_id)

    def selected(self) -> JobRecord | None:
        return self.app.state.jobs.get(self.job_id)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(TICK_S, self._tick)

    def on_tabbed_content_tab_activated(self) -> None:
        tab = self.active_tab()
        self._asked_at.pop(tab.parent.id or "" if tab.parent else "", None)
        self._tick()
        tab.take_focus()

    def active_tab(self) -> JobTab:
        name = self.query_one("#tabs", TabbedContent).active or self.first_tab
        return self.query_one(f"#{name}").query_one(JobTab)

    def _tick(self) -> None:
        """Let the tab in front ask for news when its time has come."""
        if not self.is_current or not self.app.state.online:
            return
        name = self.query_one("#tabs", TabbedContent).active or self.first_tab
        tab, now = self.active_tab(), time.monotonic()
        if now - self._asked_at.get(name, 0.0) >= tab.every_s:
            self._asked_at[name] = now
            tab.update_data()

    def action_tab(self, step: int) -> None:
        tabs = self.query_one("#tabs", TabbedContent)
        names = list(TABS)
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]

    def action_open(self, tab: str = "overview") -> None:
        self.query_one("#tabs", TabbedContent).active = tab

    def step_back(self) -> bool:
        """Escape first leaves a search."""
        tab = self.active_tab()
        return isinstance(tab, LogTab) and tab.close_search(forget=True)

    def show(self, state: HostState) -> None:
        job = self.selected()
        if job is None:
            text = "This job is not known to the daemon." if state.online else "connecting …"
            self.query_one("#head", Static).update(text)
            return
        lines = head_lines(job, state, self.app.options, self.size.width - 2)
        self.query_one("#head", Static).update(text_of(self.app, lines))
        self.active_tab().show_job(job)


def head_lines(job: JobRecord, state: HostState, options: Options, width: int) -> list[Line]:
    """Two lines about a job that stay in view on every tab."""
    mark = look(str(job.state))
    sign = mark.ascii if options.ascii else mark.mark
    first: Line = [(f"{sign} {job.state}", f"bold {mark.style}")]
    parts = [job.phase or job.stop_intent or select.note(job), f"{job.family} {job.mode}".strip()]
    if job.devices:
        parts.append(select.devices(state, job))
    if job.attempt > 1:
        parts.append(f"attempt {job.attempt}")
    first += [(f" · {part}", "") for part in parts if part]
    share = (job.step or 0) / job.total if job.total else None
    full, empty = bar(share, 20 if width < 100 else 32, ascii=options.ascii)
    second: Line = [(full, "blue"), (empty, "dim"), (f"  {progress_text(job)}", "")]
    second.append((f"  loss {values.number(job.loss)}", ""))
    if job.it_s is not None:
        second.append((f"  {values.number(job.it_s, 3)} it/s", ""))
    if job.eta_s is not None and not job.ended_at:
        second.append((f"  ETA {values.duration(job.eta_s)}", ""))
    if job.started_at:
        until = job.ended_at or time.time() + state.clock_offset_s
        second.append((f"  after {values.duration(until - job.started_at)}", "dim"))
    return [whole_spans(first, width), whole_spans(second, width)]
