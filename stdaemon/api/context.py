"""What the routes work with, and how they find a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from stdaemon.gpu.sampler import HostSampler
from stdaemon.jobs.engine import Engine
from stdaemon.jobs.errors import Refusal
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
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
