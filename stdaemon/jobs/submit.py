"""Take a job in: resolve its configuration, make its run directory, write its row."""

from __future__ import annotations

import base64
import errno
import os
import secrets
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stdaemon.jobs.errors import Refusal
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from stdaemon.store.requests import earlier_job, remember
from stdaemon.wire.jobs import JobSubmit, State
from trainer.config.resolve import Resolved, resolve
from trainer.findings import at_or_above, finding
from trainer.runs.files import write_atomic, write_json
from trainer.runs.layout import RunDir


def new_id() -> str:
    """Eight lower-case base-32 characters."""
    return base64.b32encode(secrets.token_bytes(5)).decode().lower()


def submit(
    db: Database, settings: Settings, request: JobSubmit, *, user: str, retry_of: str | None = None
) -> tuple[JobRow, bool]:
    """The job and whether it is new; the same request again returns the same job.

    Row, request id and run directory come into being together: whatever fails undoes the rest.
    """
    scope = "submit" if retry_of is None else f"rerun {retry_of}"
    content = request.model_dump_json(exclude={"request_id"})
    if request.request_id is not None:
        with db.read() as reader:
            known = earlier_job(reader, scope, request.request_id, content)
            if known is not None:
                return store.by_id(reader, known), False
    resolved = checked(request)
    job_id = new_id()
    with db.write() as writer:
        if request.request_id is not None:
            known = earlier_job(writer, scope, request.request_id, content)
            if known is not None:
                return store.by_id(writer, known), False
            remember(writer, scope, request.request_id, content, job_id)
        run = _run_dir(writer, settings, resolved, job_id)
        values = _values(request, resolved, job_id, run, user) | {"retry_of": retry_of}
        row = store.create(writer, values, actor=user)
        _lay_out(run, request, resolved)
    return row, True


def _lay_out(run: RunDir, request: JobSubmit, resolved: Resolved) -> None:
    try:
        run.create()
        write_atomic(run.config, request.text.encode())
        write_json(run.effective, resolved.effective())
    except OSError as error:
        full = error.errno == errno.ENOSPC
        problem = finding(
            "RUN109",
            f"the run directory cannot be made: {error.strerror or error}",
            where=str(run.path),
            fix="free some space" if full else "choose another job.output_dir, or mend its rights",
        )
        raise Refusal(503 if full else 422, problem.message, problem) from error


def checked(request: JobSubmit) -> Resolved:
    """The resolved configuration; Refusal 422 with all findings when it has errors."""
    resolved = resolve(
        request.text,
        format=request.format,
        name="job",
        base_dir=Path(request.base_dir),
        overrides=request.overrides,
        env={},
    )
    errors = at_or_above(resolved.findings, "error")
    if errors or resolved.config is None:
        raise Refusal(422, "the configuration has errors", *errors)
    return resolved


def _run_dir(writer: Connection, settings: Settings, resolved: Resolved, job_id: str) -> RunDir:
    assert resolved.config is not None
    wanted = resolved.config.job.output_dir
    if wanted is None:
        return RunDir(settings.runs / job_id)
    run = RunDir(Path(wanted))
    if not store.run_dir_taken(writer, str(run.path)) and not run.events.exists():
        return run
    problem = finding(
        "RUN102",
        f"{wanted} already holds a run",
        where="job.output_dir",
        why="two jobs in one directory would mix their checkpoints",
        fix="choose another job.output_dir, or leave it out",
    )
    raise Refusal(409, "the run directory is in use", problem)


def _values(
    request: JobSubmit, resolved: Resolved, job_id: str, run: RunDir, user: str
) -> dict[str, Any]:
    config = resolved.config
    assert config is not None
    name = request.name or config.job.name or f"{config.model.family}-{job_id[:4]}"
    warnings = [f.model_dump() for f in resolved.findings if f.level != "error"]
    return {
        "id": job_id,
        "name": name,
        "user": user,
        "state": State.HELD if request.hold else State.QUEUED,
        "family": config.model.family,
        "mode": config.model.mode,
        "priority": request.priority,
        "hold_reasons": ["user"] if request.hold else [],
        "tags": list(config.job.tags),
        "run_dir": str(run.path),
        "text": request.text,
        "format": request.format,
        "base_dir": request.base_dir,
        "overrides": list(request.overrides),
        "origins": {path: str(origin) for path, origin in resolved.origins.items()},
        "attempt": 0,
        "failures": 0,
        "not_before": 0.0,
        "devices": [],
        "created_at": time.time(),
        "total": config.train.steps,
        "event_offset": 0,
        "event_seq": 0,
        "findings": warnings,
        "stop_stage": 0,
    }


def current_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
