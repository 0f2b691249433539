"""What a user can do with a job: stop, cancel, pause, resume, release, checkpoint, rerun.

Every action is idempotent by request id and by meaning: stopping what is stopped succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.submit import submit
from stdaemon.settings import Settings
from stdaemon.store import jobs as store
from stdaemon.store.db import Database
from stdaemon.store.jobs import JobRow
from stdaemon.wire.jobs import TERMINAL, ActionRequest, JobSubmit, State
from trainer.findings import finding
from trainer.runs.control import send
from trainer.runs.layout import RunDir

Action = Callable[[Connection, JobRow, str], JobRow]


def perform(
    db: Database, settings: Settings, job_id: str, action: str, request: ActionRequest, *, user: str
) -> JobRow:
    """Carry out one action; a repeated request id returns what the first one did."""
    if action == "rerun":
        return _rerun(db, settings, job_id, request, user)
    with db.write() as writer:
        if request.request_id is not None:
            known = store.request_job(writer, request.request_id)
            if known is not None:
                return store.by_id(writer, known)
            store.remember_request(writer, request.request_id, action, job_id)
        return ACTIONS[action](writer, store.by_id(writer, job_id), user)


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


def _stop_running(writer: Connection, row: JobRow, user: str, intent: str) -> JobRow:
    """Begin, or sharpen, the stopping of a live job."""
    if row.state == State.STOPPING:
        if intent == "cancel" and row.stop_intent != "cancel":
            store.set_fields(writer, row.id, stop_intent="cancel")
        return store.by_id(writer, row.id)
    return store.transition(
        writer,
        row,
        State.STOPPING,
        cause=intent,
        actor=user,
        stop_intent=intent,
        stop_since=time.time(),
        stop_stage=0,
    )


def _end_waiting(writer: Connection, row: JobRow, user: str, cause: str) -> JobRow:
    return store.transition(
        writer,
        row,
        State.CANCELLED,
        cause=cause,
        actor=user,
        reason="user_cancel",
        ended_at=time.time(),
        hold_reasons=[],
        blocked_by=None,
    )


def _stop(writer: Connection, row: JobRow, user: str) -> JobRow:
    if row.state in TERMINAL or row.state == State.PAUSED:
        return row
    if row.state in (State.HELD, State.QUEUED):
        return _end_waiting(writer, row, user, "stop")
    return _stop_running(writer, _found(writer, row), user, "stop")


def _cancel(writer: Connection, row: JobRow, user: str) -> JobRow:
    if row.state in TERMINAL:
        return row
    if row.state in (State.HELD, State.QUEUED, State.PAUSED):
        return _end_waiting(writer, row, user, "cancel")
    return _stop_running(writer, _found(writer, row), user, "cancel")


def _found(writer: Connection, row: JobRow) -> JobRow:
    """A lost job is stopped through the state in which it is looked for."""
    if row.state != State.LOST:
        return row
    return store.transition(writer, row, State.RUNNING, cause="stop asked", actor="daemon")


def _pause(writer: Connection, row: JobRow, user: str) -> JobRow:
    if row.state in (State.PAUSED, State.HELD):
        return row
    if row.state == State.QUEUED:
        return store.transition(
            writer, row, State.HELD, cause="pause", actor=user, hold_reasons=["user"]
        )
    if row.state in TERMINAL:
        raise _refused(row, "pause", "it has ended")
    return _stop_running(writer, _found(writer, row), user, "pause")


def _resume(writer: Connection, row: JobRow, user: str) -> JobRow:
    if row.state in (State.QUEUED, State.STARTING, State.RUNNING):
        return row
    if row.state == State.HELD:
        return _release(writer, row, user)
    if row.state != State.PAUSED:
        why = "it is still stopping" if row.state == State.STOPPING else "it has ended"
        raise _refused(row, "resume", why)
    return store.transition(
        writer, row, State.QUEUED, cause="resume", actor=user, reason=None, stop_intent=None
    )


def _release(writer: Connection, row: JobRow, user: str) -> JobRow:
    if row.state != State.HELD:
        return row
    return store.transition(writer, row, State.QUEUED, cause="release", actor=user, hold_reasons=[])


def _checkpoint(writer: Connection, row: JobRow, user: str) -> JobRow:
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

ACTIONS: dict[str, Action] = {
    "stop": _stop,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "release": _release,
    "checkpoint": _checkpoint,
}
