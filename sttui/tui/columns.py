"""How jobs appear in tables of the interface: columns by priority, and cells from a job."""

from __future__ import annotations

import time

from stdaemon.wire.jobs import Job
from sttui.format import values
from sttui.format.jobs import progress_text
from sttui.format.states import is_terminal, look
from sttui.tui.options import Options
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.virtual_table import TableColumn, TableRow

JOB_COLUMNS = (
    TableColumn("", 1),
    TableColumn("STATE", 15),
    TableColumn("NAME", 0),
    TableColumn("STEP", 14, right=True),
    TableColumn("ETA", 8, right=True),
    TableColumn("LOSS", 7, right=True),
    TableColumn("IT/S", 6, right=True),
    TableColumn("WHERE", 9),
    TableColumn("AGE", 7, right=True),
    TableColumn("ID", 8),
    TableColumn("FAMILY", 8),
    TableColumn("MODE", 8),
    TableColumn("NOTE", 32),
)


def job_row(job: Job, state: HostState, options: Options) -> TableRow:
    mark = look(str(job.state))
    loss = "yellow" if job.loss is not None and job.loss != job.loss else ""
    quiet = "dim" if is_terminal(str(job.state)) else ""
    cells = (
        (mark.ascii if options.ascii else mark.mark, mark.style),
        (_state(job), mark.style),
        (job.name, ""),
        (progress_text(job), quiet),
        (values.duration(job.eta_s), quiet),
        (values.number(job.loss, 3), loss or quiet),
        (values.number(job.it_s, 3), quiet),
        (select.devices(state, job), quiet),
        (short_age(job.created_at, state.clock_offset_s), "dim"),
        (job.id, "dim"),
        (job.family, "dim"),
        (job.mode, "dim"),
        (select.note(job), "dim"),
    )
    texts, inks = zip(*cells, strict=True)
    return TableRow(job.id, tuple(texts), tuple(inks))


def _state(job: Job) -> str:
    name = str(job.state)
    more = {"running": job.phase, "stopping": job.stop_intent}.get(name)
    return f"{name} {more}" if more else name.replace("_", " ")


def short_age(at: float | None, offset_s: float = 0.0) -> str:
    """One unit: `42s`, `5m`, `3h`, `2d`; changes seldom, so tables rarely redraw."""
    if not at:
        return values.UNKNOWN
    passed = max(0.0, time.time() + offset_s - at)
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if passed >= seconds:
            return f"{int(passed // seconds)}{unit}"
    return "now"
