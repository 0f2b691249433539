"""What a user can do with a job: stop, cancel, pause, resume, release, checkpoint, rerun.

Every action is idempotent by request id and by meaning: stopping what is stopped succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.submit import submit
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.events import add_event
from stdaemon.store.jobs import JobRow
from stdaemon.store.requests import earlier_job, remember
from stdaemon.wire.jobs import TERMINAL, Action, ActionRequest, JobSubmit, State
from trainer.findings import finding
from trainer.runs.control import send
from trainer.runs.layout import RunDir


@dataclass(frozen=True, slots=True)
class By:
    """Who asks, and the reason they gave."""

    user: str
    note: str | None = None


Step = Callable[[Connection, JobRow, By], JobRow]


def perform(
    db: Database,
    settings: Settings,
    job_id: str,
    action: Action,
    request: ActionRequest,
    *,
    user: str,
) -> JobRow:
    """Carry out one action; a repeated request id returns the job and changes nothing."""
    if action is Action.RERUN:
        return _rerun(db, settings, job_id, request, user)
    scope, content = f"{action} {job_id}", request.model_dump_json(exclude={"request_id"})
    with db.write() as writer:
        if request.request_id is not None:
            if earlier_job(writer, scope, request.request_id, content) is not None:
                return store.by_id(writer, job_id)
            remember(writer, scope, request.request_id, content, job_id)
        return STEPS[action](writer, store.by_id(writer, job_id), By(user, request.reason))


def _rerun(
    db: Database, settings: Settings, job_id: str, request: ActionRequest, user: str
) -> JobRow:
    with db.read() as reader:
        row = store.by_id(reader, job_id)
    again = JobSubmit(
        text=row.text,
        format=row.format,
        base_dir=row.base_dir,
        overrides=row.overrides,
        name=row.name,
        request_id=request.request_id,
        priority=row.priority,
    )
    return submit(db, settings, again, user=user, retry_of=job_id)[0]


def _move(writer: Connection, row: JobRow, new: State, cause: str, by: By, **to: Any) -> JobRow:
    return store.transition(writer, row, new, cause=cause, actor=by.user, note=by.note, **to)


SHARPER = ("preempt", "pause", "stop", "cancel")
"""A stop under way is only ever changed to what ends the job more finally."""


def _stop_running(writer: Connection, row: JobRow, by: By, intent: str) -> JobRow:
    """Begin, or sharpen, the stopping of a live job."""
    if row.state != State.STOPPING:
        ladder = {"stop_intent": intent, "stop_since": time.time(), "stop_stage": 0}
        return _move(writer, row, State.STOPPING, intent, by, **ladder)
    if SHARPER.index(intent) > SHARPER.index(row.stop_intent):
        store.set_fields(writer, row.id, stop_intent=intent)
        data = {"intent": intent, "actor": by.user, "note": by.note}
        add_event(writer, "job.stop_intent", row.id, data)
    return store.by_id(writer, row.id)


def _end_waiting(writer: Connection, row: JobRow, by: By, cause: str) -> JobRow:
    end = {"reason": f"user_{cause}", "ended_at": time.time()}
    rest = {"hold_reasons": [], "blocked_by": None}
    return _move(writer, row, State.CANCELLED, cause, by, **end, **rest)


def _stop(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state in TERMINAL or row.state == State.PAUSED:
        return row
    if row.state in (State.HELD, State.QUEUED):
        return _end_waiting(writer, row, by, "stop")
    return _stop_running(writer, _found(writer, row), by, "stop")


def _cancel(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state in TERMINAL:
        return row
    if row.state in (State.HELD, State.QUEUED, State.PAUSED):
        return _end_waiting(writer, row, by, "cancel")
    return _stop_running(writer, _found(writer, row), by, "cancel")


def _found(writer: Connection, row: JobRow) -> JobRow:
    """A lost job is stopped through the state in which it is looked for."""
    if row.state != State.LOST:
        return row
    return store.transition(writer, row, State.RUNNING, cause="stop asked", actor="daemon")


def _pause(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state in (State.PAUSED, State.HELD):
        return row
    if row.state == State.QUEUED:
        return _move(writer, row, State.HELD, "pause", by, hold_reasons=["user"])
    if row.state in TERMINAL:
        raise _refused(row, "pause", "it has ended")
    return _stop_running(writer, _found(writer, row), by, "pause")


def _resume(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state in (State.QUEUED, State.STARTING, State.RUNNING):
        return row
    if row.state == State.HELD:
        return _release(writer, row, by)
    if row.state != State.PAUSED:
        why = "it is still stopping" if row.state == State.STOPPING else "it has ended"
        raise _refused(row, "resume", why)
    return _move(writer, row, State.QUEUED, "resume", by, reason=None)


def _release(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state != State.HELD:
        return row
    return _move(writer, row, State.QUEUED, "release", by, hold_reasons=[])


def _checkpoint(writer: Connection, row: JobRow, by: By) -> JobRow:
    if row.state != State.RUNNING:
        raise _refused(row, "checkpoint", f"it is {row.state}")
    send(RunDir(Path(row.run_dir)).control, "checkpoint")
    return row


def _refused(row: JobRow, action: str, why: str) -> Refusal:
    fix = "use rerun to run it again" if row.state in TERMINAL else "wait for it"
    return Refusal(
        409,
        f"job {row.id} cannot be {_PARTICIPLE[action]}",
        finding("RUN103", f"job {row.id}: no {action}, {why}", where=row.id, why=why, fix=fix),
    )


_PARTICIPLE = {"pause": "paused", "resume": "resumed", "checkpoint": "checkpointed"}

STEPS: dict[Action, Step] = {
    Action.STOP: _stop,
    Action.CANCEL: _cancel,
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.RELEASE: _release,
    Action.CHECKPOINT: _checkpoint,
}
