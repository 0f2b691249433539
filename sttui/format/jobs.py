"""Jobs as text: progress, state with its phase, and the columns of a job list."""

from __future__ import annotations

from typing import Any

from sttui.format import values
from sttui.format.columns import Column, attr, column
from sttui.format.states import is_terminal, look


def state_text(job: Any) -> str:
    """`running · train`, `stopping · pause`, `failed · oom_gpu`."""
    state = str(job.state)
    if state == "running" and job.phase:
        return f"{state} · {job.phase}"
    if state == "stopping" and job.stop_intent:
        return f"{state} · {job.stop_intent}"
    if is_terminal(state) and state != "succeeded" and job.reason:
        return f"{state} · {job.reason}"
    if state in ("queued", "held") and (job.blocked_by or job.hold_reasons):
        return f"{state} · {job.blocked_by or ', '.join(job.hold_reasons)}"
    return state


def progress_text(job: Any) -> str:
    """`120/400 30%`."""
    if not job.total:
        return values.UNKNOWN
    step = job.step or 0
    return f"{step}/{job.total} {100 * step / job.total:.0f}%"


def _speed(job: Any) -> str:
    return values.UNKNOWN if job.it_s is None else f"{values.number(job.it_s, 3)}/s"


JOB_COLUMNS = (
    column("id"),
    column("name"),
    Column("state", lambda j: str(j.state), state_text, style=lambda j: look(str(j.state)).style),
    Column("progress", attr("step"), progress_text, right=True),
    Column("loss", attr("loss"), lambda j: values.number(j.loss), right=True),
    Column("speed", attr("it_s"), _speed, right=True),
    Column("eta", attr("eta_s"), lambda j: values.duration(j.eta_s), right=True),
    Column("devices", attr("devices"), lambda j: ",".join(map(str, j.devices)) or values.UNKNOWN),
    Column("created", attr("created_at"), lambda j: values.age(j.created_at)),
    Column("number", attr("number"), wide=True, right=True),
    Column("family", attr("family"), wide=True),
    Column("mode", attr("mode"), wide=True),
    Column("attempt", attr("attempt"), wide=True, right=True),
    Column("tags", attr("tags"), lambda j: ",".join(j.tags), wide=True),
    Column("run_dir", attr("run_dir"), wide=True),
)

_TIMES = ("created_at", "started_at", "ended_at")

DETAIL_COLUMNS = (
    *(c for c in JOB_COLUMNS if c.name not in ("created", "run_dir")),
    *(
        Column(name.removesuffix("_at"), attr(name), lambda j, n=name: values.moment(getattr(j, n)))
        for name in _TIMES
    ),
    Column("run_dir", attr("run_dir")),
)
