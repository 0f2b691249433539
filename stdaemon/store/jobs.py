"""Jobs; the only place that changes a job's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from stdaemon.jobs.states import ACTIVE, allowed
from stdaemon.store.events import add_event
from stdaemon.store.tables import attempt, job
from stdaemon.wire.jobs import Job, State

JobRow = Row[Any]
MAX_DIGITS = 18  # of a job number; more would not fit the column


class Conflict(Exception):
    """Another writer changed the job meanwhile, or the table forbids the transition."""


def transition(
    db: Connection,
    row: JobRow,
    new: State,
    *,
    cause: str,
    actor: str,
    note: str | None = None,
    **fields: Any,
) -> JobRow:
    """Compare-and-set of a job's state, with its event, in the caller's transaction."""
    old = State(row.state)
    if not allowed(old, new):
        raise Conflict(f"{old} -> {new} is not a transition")
    changed = db.execute(
        update(job)
        .where(job.c.id == row.id, job.c.state_seq == row.state_seq)
        .values(state=new, state_seq=row.state_seq + 1, **fields)
    )
    if changed.rowcount != 1:
        raise Conflict(f"job {row.id} was changed by another writer")
    data = {"old": old, "new": new, "cause": cause, "actor": actor}
    add_event(db, "job.state", row.id, data | ({"note": note} if note else {}))
    return by_id(db, row.id)


def create(db: Connection, values: dict[str, Any], *, actor: str) -> JobRow:
    """Insert a job; its first state is written like every other."""
    number = (db.execute(select(func.max(job.c.number))).scalar() or 0) + 1
    db.execute(insert(job).values(number=number, state_seq=1, **values))
    data = {"old": None, "new": values["state"], "cause": "submitted", "actor": actor}
    add_event(db, "job.state", values["id"], data)
    return by_id(db, values["id"])


def by_id(db: Connection, job_id: str) -> JobRow:
    return db.execute(select(job).where(job.c.id == job_id)).one()


def find(db: Connection, ref: str) -> list[JobRow]:
    """Jobs that a reference may mean: id, number, unique id prefix, or newest of a name."""
    exact = db.execute(select(job).where(job.c.id == ref)).all()
    if exact:
        return list(exact)
    if ref.isascii() and ref.isdigit() and len(ref) <= MAX_DIGITS:
        numbered = db.execute(select(job).where(job.c.number == int(ref))).all()
        if numbered:
            return list(numbered)
    named = select(job).where(job.c.name == ref).order_by(job.c.number.desc()).limit(1)
    found = db.execute(named).all()
    if found:
        return list(found)
    return list(db.execute(select(job).where(job.c.id.startswith(ref, autoescape=True))).all())


def page(
    db: Connection, *, states: Sequence[str], q: str | None, before: int | None, limit: int
) -> list[JobRow]:
    """Newest first, below number `before`."""
    shown = [job.c[name] for name in Job.model_fields]  # without texts and findings
    query = select(*shown).order_by(job.c.number.desc()).limit(limit)
    if states:
        query = query.where(job.c.state.in_(states))
    if before is not None:
        query = query.where(job.c.number < before)
    if q:
        named = job.c.name.icontains(q, autoescape=True)
        query = query.where(or_(named, job.c.id.contains(q, autoescape=True)))
    return list(db.execute(query).all())


def counts(db: Connection) -> dict[str, int]:
    rows = db.execute(select(job.c.state, func.count()).group_by(job.c.state)).all()
    return {row[0]: row[1] for row in rows}


def active(db: Connection) -> list[JobRow]:
    """Jobs with a live attempt, each with the `lease` of that attempt."""
    current = and_(attempt.c.job == job.c.id, attempt.c.number == job.c.attempt)
    query = select(job, attempt.c.lease).join(attempt, current)
    return list(db.execute(query.where(job.c.state.in_(ACTIVE)).order_by(job.c.number)).all())


def progress(db: Connection, names: Sequence[str]) -> list[JobRow]:
    """The named columns, and the id, of jobs with a live attempt."""
    columns = [job.c[name] for name in ("id", *names)]
    return list(db.execute(select(*columns).where(job.c.state.in_(ACTIVE))).all())


WAITING = ("id", "number", "state", "state_seq", "priority", "not_before", "blocked_by")


def waiting(db: Connection) -> list[JobRow]:
    """Queued jobs with no more columns than planning and starting need."""
    columns = [job.c[name] for name in (*WAITING, "attempt", "run_dir")]
    return list(db.execute(select(*columns).where(job.c.state == State.QUEUED)).all())


def set_fields(db: Connection, job_id: str, **fields: Any) -> None:
    """Change fields that are no state (progress, reasons)."""
    assert "state" not in fields, "states change through transition() only"
    db.execute(update(job).where(job.c.id == job_id).values(**fields))


def run_dir_taken(db: Connection, run_dir: str) -> bool:
    return db.execute(select(job.c.id).where(job.c.run_dir == run_dir)).first() is not None
