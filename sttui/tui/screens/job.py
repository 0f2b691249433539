"""One job: overview, log, metrics, samples, checkpoints, configuration."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static, TabbedContent, TabPane

from stdaemon.wire.jobs import Job as JobRecord
from sttui.format import values
from sttui.format.jobs import progress_text, state_text
from sttui.tui.columns import plain
from sttui.tui.keys import bindings
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.state.store import HostState
from sttui.tui.tabs.checkpoints import CheckpointsTab
from sttui.tui.tabs.config import ConfigTab
from sttui.tui.tabs.log import LogTab
from sttui.tui.tabs.metrics import MetricsTab
from sttui.tui.tabs.overview import OverviewTab
from sttui.tui.tabs.samples import SamplesTab
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.plot import bar

TABS: dict[str, tuple[str, type[JobTab]]] = {
    "overview": ("Overview", OverviewTab),
    "log": ("Log", LogTab),
    "metrics": ("Metrics", MetricsTab),
    "samples": ("Samples", SamplesTab),
    "checkpoints": ("Checkpoints", CheckpointsTab),
    "config": ("Config", ConfigTab),
}


class JobScreen(JobActions, StuneScreen):
    BINDINGS = JobActions.JOB_BINDINGS + bindings("detail")
    DEFAULT_CSS = """
    JobScreen #head { height: 2; }
    JobScreen TabbedContent { height: 1fr; }
    JobScreen TabPane { padding: 0; }
    """

    def __init__(self, job_id: str, tab: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.first_tab = tab

    @property
    def title_text(self) -> str:  # type: ignore[override]
        job = self.selected()
        return f"Jobs › {job.name if job else self.job_id}"

    def body(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        with TabbedContent(initial=self.first_tab, id="tabs"):
            for name, (title, make) in TABS.items():
                with TabPane(title, id=name):
                    yield make(self.job_id)

    def selected(self) -> JobRecord | None:
        return self.app.state.jobs.get(self.job_id)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._tick)

    def on_tabbed_content_tab_activated(self) -> None:
        self._tick()
        self.active_tab().take_focus()

    def active_tab(self) -> JobTab:
        name = self.query_one(TabbedContent).active or self.first_tab
        return self.query_one(f"#{name}").query_one(JobTab)

    def _tick(self) -> None:
        if self.is_current and self.app.state.online:
            self.active_tab().update_data()

    def action_tab(self, step: int) -> None:
        tabs = self.query_one(TabbedContent)
        names = list(TABS)
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]

    def action_open(self, tab: str = "overview") -> None:
        self.query_one(TabbedContent).active = tab

    def show(self, state: HostState) -> None:
        job = self.selected()
        if job is None:
            return
        options, width = self.app.options, max(40, self.size.width - 2)
        share = (job.step or 0) / job.total if job.total else None
        filled = bar(share, 20, ascii=options.ascii)
        speed = values.number(job.it_s, 3)
        first = f"{state_text(job)} · {job.family} {job.mode} · attempt {job.attempt}"
        first += f" · {','.join(job.devices)}" if job.devices else ""
        second = f"{filled} {progress_text(job)} · loss {values.number(job.loss)}"
        second += f" · {speed} it/s · ETA {values.duration(job.eta_s)}"
        text = "\n".join(plain(line, options)[:width] for line in (first, second))
        self.query_one("#head", Static).update(text)
        self.active_tab().show_job(job)
