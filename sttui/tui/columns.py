"""How jobs appear in tables of the interface: columns by priority, and cells from a job."""

from __future__ import annotations

from stdaemon.wire.jobs import Job
from sttui.format import values
from sttui.format.jobs import progress_text, state_text
from sttui.format.states import look
from sttui.tui.options import Options
from sttui.tui.widgets.virtual_table import TableColumn, TableRow

JOB_COLUMNS = (
    TableColumn("", 1),
    TableColumn("STATE", 20),
    TableColumn("NAME", 0),
    TableColumn("STEP", 14, right=True),
    TableColumn("ETA", 8, right=True),
    TableColumn("LOSS", 8, right=True),
    TableColumn("IT/S", 7, right=True),
    TableColumn("DEVICES", 10),
    TableColumn("FAMILY", 8),
    TableColumn("AGE", 12, right=True),
    TableColumn("ID", 8),
)


def job_row(job: Job, options: Options) -> TableRow:
    mark = look(str(job.state))
    cells = (
        mark.ascii if options.ascii else mark.mark,
        plain(state_text(job), options),
        job.name,
        progress_text(job),
        values.duration(job.eta_s),
        values.number(job.loss, 3),
        values.number(job.it_s, 3),
        ",".join(job.devices) or values.UNKNOWN,
        job.family,
        values.age(job.created_at),
        job.id,
    )
    style = mark.style if options.colour else ""
    return TableRow(job.id, tuple(plain(c, options) for c in cells), style)


def plain(text: str, options: Options) -> str:
    """Without characters that an ASCII terminal lacks."""
    if not options.ascii:
        return text
    swapped = text.translate({0x2013: "-", 0x00B7: "/", 0x2026: ".", 0x2192: ">"})
    return swapped.encode("ascii", "replace").decode()
