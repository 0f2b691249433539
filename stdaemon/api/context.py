"""What the routes work with, and how they find a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from stdaemon.exec.local import lease_of
from stdaemon.gpu.sampler import HostSampler
from stdaemon.jobs.engine import Engine
from stdaemon.jobs.errors import Refusal
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from stdaemon.store.leases import leased
from stdaemon.watch.columns import ColumnCache
from stdaemon.wire.hosts import Gpu, HostSnapshot, Process, Slot
from stdaemon.wire.jobs import Job
from trainer.findings import finding
from trainer.runs.layout import RunDir


@dataclass(slots=True)
class Context:
    """One daemon."""

    settings: Settings
    db: Database
    engine: Engine
    sampler: HostSampler
    instance: str
    user: str
    started_at: float
    columns: ColumnCache = field(default_factory=ColumnCache)


def context(request: Request) -> Context:
    return request.app.state.context


Ctx = Annotated[Context, Depends(context)]


def found_job(ctx: Ctx, ref: str) -> JobRow:
    """The one job that `ref` means; 404 or 409 with the candidates otherwise."""
    with ctx.db.read() as reader:
        rows = store.find(reader, ref)
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise Refusal(
            404,
            f"there is no job {ref}",
            finding("ENV111", f"there is no job {ref!r}", fix="see stune jobs"),
        )
    names = ", ".join(f"{r.id} ({r.name})" for r in rows[:8])
    raise Refusal(
        409,
        f"{ref} means several jobs",
        finding("ENV113", f"{ref!r} means several jobs: {names}", fix="give more characters"),
    )


FoundJob = Annotated[JobRow, Depends(found_job)]


def run_of(row: JobRow) -> RunDir:
    return RunDir(Path(row.run_dir))


def to_job(row: JobRow) -> Job:
    return Job.model_validate(dict(row._mapping))


def snapshot(ctx: Context) -> HostSnapshot:
    """The latest figures with the jobs that hold the devices."""
    latest = ctx.sampler.latest()
    with ctx.db.read() as reader:
        held = leased(reader, ctx.engine.host)
    gpus = [_with_jobs(gpu, held.get(gpu.uuid)) for gpu in latest.gpus]
    slots = [Slot(device=d, job=held.get(d)) for d in ctx.engine.devices()]
    return latest.model_copy(update={"gpus": gpus, "slots": slots})


def _with_jobs(gpu: Gpu, job: str | None) -> Gpu:
    def named(process: Process) -> Process:
        ours = job is not None and lease_of(process.pid) is not None
        return process.model_copy(update={"job": job if ours else None})

    processes = [named(process) for process in gpu.processes]
    return gpu.model_copy(update={"job": job, "processes": processes})
