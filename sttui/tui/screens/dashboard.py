"""The first screen: the host, its devices, what runs, what waits, what happened."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from stdaemon.wire.hosts import Gpu, HostSnapshot
from stdaemon.wire.jobs import Job
from sttui.format import values
from sttui.tui.columns import JOB_COLUMNS, job_row, plain
from sttui.tui.options import Options
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.job_actions import JobActions
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.plot import bar, sparkline
from sttui.tui.widgets.virtual_table import VirtualTable


class Dashboard(JobActions, StuneScreen):
    title_text = "Dashboard"
    BINDINGS = JobActions.JOB_BINDINGS
    DEFAULT_CSS = """
    Dashboard #host { height: auto; margin-bottom: 1; }
    Dashboard #running { height: 1fr; min-height: 4; }
    Dashboard #lower { height: auto; max-height: 9; }
    """

    def body(self) -> ComposeResult:
        yield Static("", id="host", markup=False)
        yield Static("Running and waiting", classes="title", markup=False)
        yield VirtualTable(JOB_COLUMNS, empty="no jobs: press 3 for presets", id="running")
        with Vertical(id="lower"):
            yield Static("Last events", classes="title", markup=False)
            yield Static("", id="events", markup=False)

    def selected(self) -> Job | None:
        return self.app.state.jobs.get(self.query_one(VirtualTable).current or "")

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self.app.open_job(message.key, "overview")

    def show(self, state: HostState) -> None:
        options = self.app.options
        width = max(40, self.size.width - 2)
        self.query_one("#host", Static).update("\n".join(host_lines(state, width, options)))
        live = select.running(state) + select.waiting(state)
        shown = live or select.ordered(state)[:20]
        title = "Running and waiting" if live else "Last jobs"
        self.query(".title").first(Static).update(title)
        self.query_one(VirtualTable).set_rows([job_row(job, options) for job in shown])
        self.query_one("#events", Static).update(event_lines(state, width, options))


def host_lines(state: HostState, width: int, options: Options) -> list[str]:
    """CPU, memory, disk, then one line per GPU; numbers beside every bar."""
    host = state.host
    if host is None:
        return [state.problem or "connecting …", state.fix]
    wide = width >= 100
    bars = 20 if wide else 12
    sparks = max(0, min(60, width - bars - 44))
    cpu = [h.cpu_percent for h in state.history]
    ram = host.ram_used / host.ram_total
    ram_text = f"{values.size(host.ram_used)} of {values.size(host.ram_total)}"
    load = " ".join(f"{x:.1f}" for x in host.load)
    lines = [
        _meter(
            "CPU",
            host.cpu_percent / 100,
            bars,
            f"of {host.cpu_count} cores · load {load}",
            options,
            cpu,
            sparks,
        ),
        _meter("RAM", ram, bars, ram_text, options, [100 * _ram(h) for h in state.history], sparks),
        _meter(
            "disk",
            1 - host.disk_free / host.disk_total,
            bars,
            f"{values.size(host.disk_free)} free",
            options,
        ),
    ]
    lines += [_gpu(gpu, state, bars, options) for gpu in host.gpus]
    if not host.gpus:
        slot = next((s for s in host.slots), None)
        held = state.jobs.get(slot.job or "") if slot else None
        lines.append(f"GPU    none: jobs run on the CPU{f' (now {held.name})' if held else ''}")
    return [plain(line, options)[:width] for line in lines]


def _ram(host: HostSnapshot) -> float:
    return host.ram_used / host.ram_total


def _meter(
    name: str,
    share: float,
    width: int,
    text: str,
    options: Options,
    history: list[float] | None = None,
    sparks: int = 0,
) -> str:
    line = f"{name:<6} {bar(share, width, ascii=options.ascii)} {share:4.0%}  {text:<34}"
    if history and sparks >= 8:
        line += sparkline(history, sparks, 100.0, ascii=options.ascii)
    return line


def _gpu(gpu: Gpu, state: HostState, width: int, options: Options) -> str:
    share = None if gpu.util is None else gpu.util / 100
    memory = f"{values.size(gpu.mem_used)}/{values.size(gpu.mem_total)}"
    heat = values.UNKNOWN if gpu.temp is None else f"{gpu.temp:.0f}°C"
    power = values.UNKNOWN if gpu.power is None else f"{gpu.power:.0f} W"
    job = state.jobs.get(gpu.job or "")
    holder = job.name if job else ("in use elsewhere" if gpu.processes else "free")
    filled = bar(share, width, ascii=options.ascii)
    util = values.percent(gpu.util)
    return f"GPU {gpu.index:<2} {filled} {util:>4}  {memory} {heat} {power} · {holder}"


def event_lines(state: HostState, width: int, options: Options) -> str:
    rows = list(state.events)[-6:]
    if not rows:
        return "nothing has happened since you connected"
    lines = [f"{values.clock(ts)[11:]}  {text}" for ts, text in reversed(rows)]
    return "\n".join(plain(line, options)[:width] for line in lines)
